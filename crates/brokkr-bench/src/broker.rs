//! A broker in a process of its own.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use brokkr_client::api::PakText;
use brokkr_client::{Client, ClientConfig};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Deserialize;
use tokio::time::sleep;

use crate::BenchError;
use crate::process::{self, Cpu, Memory};

/// A broker that migrates an empty database on a busy machine takes seconds.
const START_MAX: Duration = Duration::from_secs(60);
const STOP_MAX: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(20);
/// How much of the log a failure shows, in bytes.
const LOG_TAIL: usize = 4_000;
/// Settings of the broker that the caller wants measured come this way, as for any broker.
const SETTINGS_PREFIX: &str = "BROKKR__";

/// A broker in a process of its own. It is killed with this value.
#[derive(Debug)]
pub(crate) struct Broker {
    child: Child,
    address: SocketAddr,
}

#[derive(Deserialize)]
struct Listening {
    #[serde(rename = "server.address")]
    address: SocketAddr,
}

impl Broker {
    /// Starts broker `number` on a free port of the loopback interface; its files lie in `directory`.
    pub(crate) async fn start(
        executable: &Path,
        directory: &Path,
        number: u32,
        database_url: &str,
    ) -> Result<Broker, BenchError> {
        let log = directory.join(format!("broker-{number}.log"));
        let child = spawn(executable, directory, &log, database_url)
            .map_err(|error| BenchError::System("start a broker", error))?;
        // From here on the process is killed whenever this future is dropped.
        let mut broker = Broker {
            child,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        broker.address = broker.listens(&log).await?;
        Ok(broker)
    }

    async fn listens(&mut self, log: &Path) -> Result<SocketAddr, BenchError> {
        let begun = Instant::now();
        loop {
            let text = fs::read_to_string(log).unwrap_or_default();
            let said = text
                .lines()
                .find_map(|line| serde_json::from_str::<Listening>(line).ok());
            if let Some(listening) = said {
                return Ok(listening.address);
            }
            let ended = !matches!(self.child.try_wait(), Ok(None));
            if ended || START_MAX < begun.elapsed() {
                return Err(BenchError::BrokerNotStarted { log: tail(&text) });
            }
            sleep(LOOK).await;
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn cpu(&self) -> Cpu {
        process::cpu(self.child.id())
    }

    pub(crate) fn memory(&self) -> Memory {
        process::memory(self.child.id())
    }

    /// A client with this PAK.
    pub(crate) fn client(&self, pak: &str) -> Result<Client, BenchError> {
        let url = format!("http://{}", self.address).parse()?;
        Ok(Client::new(ClientConfig::new(url).with_pak(PakText::new(pak)))?)
    }

    /// Asks it to stop, and waits for that; where it takes too long, it is killed.
    pub(crate) async fn stop(mut self) {
        if let Ok(number) = i32::try_from(self.child.id()) {
            // It fails only when the process has ended.
            let _ = kill(Pid::from_raw(number), Signal::SIGTERM);
        }
        let begun = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && begun.elapsed() < STOP_MAX {
            sleep(LOOK).await;
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // Both fail only when it has ended and was waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where the first broker on a database leaves the administrator's PAK.
pub(crate) fn pak_file(directory: &Path) -> PathBuf {
    directory.join("admin.pak")
}

fn tail(log: &str) -> String {
    let mut start = log.len().saturating_sub(LOG_TAIL);
    while !log.is_char_boundary(start) {
        start += 1;
    }
    log[start..].to_owned()
}

/// In a process group of its own, so that Ctrl-C at a terminal ends the scenario first.
fn spawn(executable: &Path, directory: &Path, log: &Path, database_url: &str) -> std::io::Result<Child> {
    let settings =
        std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with(SETTINGS_PREFIX));
    let log = File::create(log)?;
    Command::new(executable)
        .args([
            "broker",
            "--listen",
            "127.0.0.1:0",
            "--log-format",
            "json",
            "--admin-pak-file",
        ])
        .arg(pak_file(directory))
        .current_dir(directory)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", directory)
        // Not an argument: it may hold a password.
        .env("BROKKR_DATABASE_URL", database_url)
        .envs(settings)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
}
