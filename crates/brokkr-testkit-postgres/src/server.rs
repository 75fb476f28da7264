//! Finding the PostgreSQL server programs on this machine.

use std::path::{Path, PathBuf};

/// Where Debian keeps the server programs of each version, outside the `PATH`.
const DEBIAN_VERSIONS: &str = "/usr/lib/postgresql";

/// The directory of an installed PostgreSQL server's programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    programs: PathBuf,
}

/// No PostgreSQL server programs were found.
#[derive(Debug, thiserror::Error)]
#[error(
    "no PostgreSQL server is installed: found neither {DEBIAN_VERSIONS}/*/bin/initdb nor initdb in PATH. \
     Install it (Debian: apt-get install postgresql), or name a server for the tests in BROKKR_TEST_POSTGRES_URL"
)]
pub struct ServerMissing;

impl Server {
    /// Finds the newest server in Debian's place, else the one in `PATH`.
    pub fn find() -> Result<Self, ServerMissing> {
        newest_in(Path::new(DEBIAN_VERSIONS))
            .or_else(in_path)
            .map(|programs| Self { programs })
            .ok_or(ServerMissing)
    }

    /// The directory that holds `initdb`, `pg_ctl` and `postgres`.
    #[must_use]
    pub fn programs(&self) -> &Path {
        &self.programs
    }
}

fn newest_in(versions: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(versions).ok()?;
    entries
        .flatten()
        .filter_map(|entry| {
            let version: u32 = entry.file_name().to_str()?.split('.').next()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .filter(|(_, programs)| holds_server(programs))
        .max()
        .map(|(_, programs)| programs)
}

fn in_path() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).find(|directory| holds_server(directory))
}

fn holds_server(directory: &Path) -> bool {
    ["initdb", "pg_ctl", "postgres"]
        .iter()
        .all(|program| directory.join(program).is_file())
}
