//! A cluster that lives as long as its value.

use std::fs::{DirBuilder, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{DirBuilderExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::account::{self, Account};
use crate::server::{Server, ServerMissing};

const SCRIPT: &str = include_str!("cluster.sh");

/// Another program may take the port between our choosing it and the server's using it.
const STARTS_MAX: u32 = 3;

/// A running PostgreSQL server with an empty cluster of its own, reachable on the loopback interface with a random password.
///
/// It is stopped and its files are removed when the value is dropped, and also when the process ends without dropping it.
#[derive(Debug)]
pub struct Cluster {
    supervisor: Child,
    url: String,
    server: Server,
    directory: PathBuf,
    account: Option<Account>,
}

/// What a cluster's settings are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Nothing has to survive a crash, and tests open many small pools.
    None,
    /// Everything but the address is as the server's makers chose it, so what is committed is on the disk.
    ServerDefault,
}

/// Why a throwaway cluster could not be started.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// There is no server on this machine.
    #[error(transparent)]
    Missing(#[from] ServerMissing),
    /// A file, a port or a process of the cluster could not be had.
    #[error("could not {0} for a throwaway PostgreSQL cluster")]
    Prepare(&'static str, #[source] io::Error),
    /// The server's own programs gave up.
    #[error("a throwaway PostgreSQL cluster did not start; its log says:\n{log}")]
    NotStarted {
        /// What `initdb` and the server wrote.
        log: String,
    },
}

impl Cluster {
    /// Makes and starts a cluster. Takes about two seconds.
    pub fn start() -> Result<Self, ClusterError> {
        Self::start_with(Durability::None)
    }

    /// The same, with the settings that serve the purpose.
    pub fn start_with(durability: Durability) -> Result<Self, ClusterError> {
        // Root's own temporary directory may be closed to the account that the server runs as.
        let parent = if account::to_change_to().is_some() {
            PathBuf::from("/tmp")
        } else {
            std::env::temp_dir()
        };
        Self::start_in(&parent, durability)
    }

    /// The same, with all files in a new directory below `parent`. The account that the server runs as has to be able to get there.
    pub fn start_in(parent: &Path, durability: Durability) -> Result<Self, ClusterError> {
        let server = Server::find()?;
        let mut starts = 1;
        loop {
            match Self::start_once(&server, parent, durability) {
                Err(ClusterError::NotStarted { .. }) if starts < STARTS_MAX => starts += 1,
                result => return result,
            }
        }
    }

    /// The superuser's connection URL, for the database `postgres`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The number of the process whose children do the server's work.
    #[must_use]
    pub fn postmaster(&self) -> Option<u32> {
        postmaster_of(&self.directory)
    }

    /// Ends the server as a crash would: clients hear nothing, and what is committed is found in the log at the next start.
    pub fn crash(&self) -> Result<(), ClusterError> {
        self.control(&["stop", "--mode=immediate"])
    }

    /// Starts the server again, at the same address and with the same databases. It answers afterwards.
    pub fn start_again(&self) -> Result<(), ClusterError> {
        self.control(&["start", "--log=log"])
    }

    /// Makes the next start that of a standby, which refuses writes until it is [promoted](Self::promote). Needs
    /// [`Durability::ServerDefault`].
    pub fn demote(&self) -> Result<(), ClusterError> {
        std::fs::write(self.directory.join("data/standby.signal"), "")
            .map_err(|error| ClusterError::Prepare("demote the server", error))
    }

    /// Makes a standby the primary.
    pub fn promote(&self) -> Result<(), ClusterError> {
        self.control(&["promote"])
    }

    /// Sets something for the next start, such as `max_connections = 8`.
    pub fn set(&self, setting: &str) -> Result<(), ClusterError> {
        let append = || {
            let mut file = File::options()
                .append(true)
                .open(self.directory.join("data/postgresql.conf"))?;
            writeln!(file, "{setting}")
        };
        append().map_err(|error| ClusterError::Prepare("write the settings", error))
    }

    fn control(&self, arguments: &[&str]) -> Result<(), ClusterError> {
        let mut command = Command::new(self.server.programs().join("pg_ctl"));
        command
            .args(arguments)
            .args(["--pgdata=data", "--wait", "--timeout=60", "--silent"])
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if let Some(Account { user, group }) = self.account {
            command.uid(user).gid(group);
        }
        let ended = command
            .status()
            .map_err(|error| ClusterError::Prepare("start pg_ctl", error))?;
        if ended.success() {
            return Ok(());
        }
        let log = std::fs::read_to_string(self.directory.join("log")).unwrap_or_default();
        Err(ClusterError::NotStarted { log })
    }

    fn start_once(server: &Server, parent: &Path, durability: Durability) -> Result<Self, ClusterError> {
        let account = account::to_change_to();
        let password = random_hex().map_err(|error| ClusterError::Prepare("read random bytes", error))?;
        let port = free_port().map_err(|error| ClusterError::Prepare("find a free port", error))?;
        let directory = prepare_directory(parent, account, &settings(port, durability), &password)
            .map_err(|error| ClusterError::Prepare("prepare a directory", error))?;
        let supervisor = supervise(server, &directory, account)
            .map_err(|error| ClusterError::Prepare("start the supervising shell", error))?;

        let mut cluster = Self {
            supervisor,
            url: format!("postgres://brokkr:{password}@127.0.0.1:{port}/postgres"),
            server: server.clone(),
            directory: directory.clone(),
            account,
        };
        if cluster.says_ready() {
            Ok(cluster)
        } else {
            let log = std::fs::read_to_string(directory.join("log")).unwrap_or_default();
            Err(ClusterError::NotStarted { log })
        }
    }

    fn says_ready(&mut self) -> bool {
        let mut answer = String::new();
        let output = self.supervisor.stdout.take();
        output.is_some_and(|output| BufReader::new(output).read_line(&mut answer).is_ok())
            && answer.trim() == "ready"
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.supervisor.stdin.take());
        // Nobody is left who could do anything about a failure.
        let _ = self.supervisor.wait();
    }
}

fn prepare_directory(
    parent: &Path,
    account: Option<Account>,
    settings: &str,
    password: &str,
) -> io::Result<PathBuf> {
    let directory = parent.join(format!("brokkr-postgres-{}", random_hex()?));
    DirBuilder::new().mode(0o700).create(&directory)?;
    std::fs::write(directory.join("password"), password)?;
    std::fs::write(directory.join("settings"), settings)?;
    if let Some(Account { user, group }) = account {
        for path in [
            &directory.join("password"),
            &directory.join("settings"),
            &directory,
        ] {
            chown(path, Some(user), Some(group))?;
        }
    }
    Ok(directory)
}

/// The first line of the file by which the server knows itself.
fn postmaster_of(directory: &Path) -> Option<u32> {
    let text = std::fs::read_to_string(directory.join("data/postmaster.pid")).ok()?;
    text.lines().next()?.trim().parse().ok()
}

fn settings(port: u16, durability: Durability) -> String {
    let address = format!(
        "listen_addresses = '127.0.0.1'\n\
         port = {port}\n\
         unix_socket_directories = ''\n"
    );
    match durability {
        Durability::None => address + FORGETFUL,
        Durability::ServerDefault => address,
    }
}

const FORGETFUL: &str = "\
max_connections = 300
fsync = off
synchronous_commit = off
full_page_writes = off
wal_level = minimal
max_wal_senders = 0
jit = off
timezone = 'UTC'
";

/// Runs the script in a process group of its own, so that Ctrl-C at a terminal does not reach it.
fn supervise(server: &Server, directory: &Path, account: Option<Account>) -> io::Result<Child> {
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", SCRIPT, "brokkr-postgres"])
        .arg(server.programs())
        .arg(directory)
        .current_dir(directory)
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PG") {
            command.env_remove(name);
        }
    }
    if let Some(Account { user, group }) = account {
        command.uid(user).gid(group);
    }
    command.spawn()
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn random_hex() -> io::Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
