//! Small file systems, in mounts that no other process sees.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::mount::{MntFlags, MsFlags, mount, umount2};

/// Set for a test that runs by itself in mounts of its own.
const ALONE: &str = "BROKKR_TEST_OWN_MOUNTS";

/// Whether this process has mounts of its own. When not, runs the test of this name once more in a process that has, and waits until
/// it has passed; there is nothing else to do then. They go with the processes that are in them.
///
/// # Panics
/// When the test does not pass there, or no mounts can be had.
pub(crate) fn alone_with_mounts(test: &str) -> bool {
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "--propagation", "private"]);
    if !nix::unistd::geteuid().is_root() {
        // The account stays what it is: PostgreSQL refuses to run as root, a root of this kind included.
        unshare.args(["--user", "--map-current-user", "--keep-caps"]);
    }
    let again = unshare
        .arg("--")
        .arg(std::env::current_exe().expect("the path of this program"))
        .args([test, "--exact", "--nocapture"])
        .env(ALONE, "1")
        .output()
        .expect("this test needs the program unshare (Debian: util-linux)");
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&again.stdout),
        String::from_utf8_lossy(&again.stderr)
    );
    assert!(
        said.contains("running 1 test"),
        "this test mounts small file systems, and for that needs to be root, or a user who may make user namespaces: {said}"
    );
    assert!(again.status.success() && said.contains("1 passed"), "{said}");
    false
}

/// A file system of its own in memory, which can be filled.
pub(crate) struct Disk {
    path: PathBuf,
}

impl Disk {
    /// Mounts one at `path`, with all rights for everybody, as `/tmp` has them.
    pub(crate) fn mounted_at(path: PathBuf, megabytes: u32) -> Disk {
        fs::create_dir(&path).expect("a directory to mount at");
        let options = format!("size={megabytes}m,mode=1777");
        let flags = MsFlags::MS_NODEV | MsFlags::MS_NOSUID;
        mount(Some("tmpfs"), &path, Some("tmpfs"), flags, Some(options.as_str()))
            .expect("a file system can be mounted");
        Disk { path }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes all the room that there is.
    pub(crate) fn fill(&self) {
        let mut filler = File::create(self.filler()).expect("a file of no size needs no room");
        for piece in [vec![0; 1 << 16], vec![0; 1 << 12]] {
            let full = loop {
                if let Err(error) = filler.write_all(&piece) {
                    break error;
                }
            };
            assert_eq!(full.kind(), io::ErrorKind::StorageFull, "{full}");
        }
    }

    /// Gives it back.
    pub(crate) fn make_room(&self) {
        fs::remove_file(self.filler()).expect("it was filled");
    }

    /// Makes it read-only or writable. The system does not make it read-only while files on it are open for writing.
    pub(crate) fn remount(&self, read_only: bool) -> nix::Result<()> {
        let flags = MsFlags::MS_REMOUNT | MsFlags::MS_NODEV | MsFlags::MS_NOSUID;
        let flags = if read_only {
            flags | MsFlags::MS_RDONLY
        } else {
            flags
        };
        mount(None::<&str>, &self.path, None::<&str>, flags, None::<&str>)
    }

    /// From now on whoever opens a file there finds a read-only file system. Files that are open stay as they are.
    pub(crate) fn cover(&self) {
        let bind = MsFlags::MS_BIND;
        for flags in [bind, bind | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY] {
            mount(Some(&self.path), &self.path, None::<&str>, flags, None::<&str>)
                .expect("a directory can be mounted once more");
        }
        assert!(File::create(self.filler()).is_err(), "it is read-only");
    }

    /// Undoes that.
    pub(crate) fn uncover(&self) {
        umount2(&self.path, MntFlags::MNT_DETACH).expect("it was covered");
    }

    fn filler(&self) -> PathBuf {
        self.path.join("filler")
    }
}
