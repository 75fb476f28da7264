//! What is measured: a database and the brokers on it.

use std::net::SocketAddr;

use brokkr_client::Client;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tempfile::TempDir;

use crate::broker::{self, Broker};
use crate::census::{self, Census};
use crate::process;
use crate::server::{Database, Server};
use crate::wire::Connection;
use crate::{BenchError, Options, Usage};

/// A database with the brokers on it, all of them fresh.
pub(crate) struct Target<'a> {
    server: &'a Server,
    database: Database,
    brokers: Vec<Broker>,
    admin_pak: String,
    _directory: TempDir,
}

/// What everything has used so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading(Usage);

impl Reading {
    /// What was used between the earlier reading and this one.
    pub(crate) fn since(&self, earlier: &Reading) -> Usage {
        let (now, then) = (&self.0, &earlier.0);
        Usage {
            broker_cpu_seconds: now.broker_cpu_seconds - then.broker_cpu_seconds,
            database_cpu_seconds: now.database_cpu_seconds - then.database_cpu_seconds,
            client_cpu_seconds: now.client_cpu_seconds - then.client_cpu_seconds,
            statements: now.statements.saturating_sub(then.statements),
            ..*now
        }
    }
}

impl<'a> Target<'a> {
    /// Makes an empty database and starts `brokers` brokers on it.
    pub(crate) async fn start(
        options: &Options,
        server: &'a Server,
        brokers: u32,
    ) -> Result<Target<'a>, BenchError> {
        let directory = tempfile::tempdir().map_err(|error| BenchError::System("make a directory", error))?;
        let database = server.database().await?;
        let mut running = Vec::new();
        for number in 0..brokers.max(1) {
            let broker = Broker::start(&options.executable, directory.path(), number, &database.url).await?;
            running.push(broker);
        }
        let admin_pak = std::fs::read_to_string(broker::pak_file(directory.path()))
            .map_err(|error| BenchError::System("read the administrator's PAK", error))?;
        Ok(Target {
            server,
            database,
            brokers: running,
            admin_pak: admin_pak.trim().to_owned(),
            _directory: directory,
        })
    }

    /// Stops the brokers and removes the database.
    pub(crate) async fn stop(self) -> Result<(), BenchError> {
        for broker in self.brokers {
            broker.stop().await;
        }
        self.server.remove(&self.database).await
    }

    /// The address of a broker; callers with different numbers are spread over all of them.
    pub(crate) fn address(&self, number: usize) -> SocketAddr {
        self.brokers[number % self.brokers.len()].address()
    }

    /// An administrator's connection to a broker.
    pub(crate) fn admin(&self, number: usize) -> Connection {
        Connection::new(self.address(number), &self.admin_pak)
    }

    /// An administrator's client of the first broker.
    pub(crate) fn admin_client(&self) -> Result<Client, BenchError> {
        self.brokers[0].client(&self.admin_pak)
    }

    pub(crate) fn brokers(&self) -> usize {
        self.brokers.len()
    }

    /// Resident memory of all brokers, in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        self.brokers.iter().map(|broker| broker.memory().resident).sum()
    }

    /// How many orders are in the queue and in the log.
    pub(crate) async fn census(&self) -> Result<Census, BenchError> {
        census::count(&self.database).await
    }

    /// The sizes of the tables that live with the queue, as notes.
    pub(crate) async fn sizes(&self) -> Result<Vec<(String, String)>, BenchError> {
        census::sizes(&self.database).await
    }

    pub(crate) async fn reading(&self) -> Result<Reading, BenchError> {
        // Asked first, as the answer costs CPU time of its own.
        let statements = self.metric("brokkr_database_statements_total").await?;
        let peaks = self.brokers.iter().map(|broker| broker.memory().peak);
        Ok(Reading(Usage {
            broker_cpu_seconds: self.brokers.iter().map(|broker| broker.cpu().own_seconds).sum(),
            database_cpu_seconds: self.server.cpu_seconds(),
            client_cpu_seconds: process::cpu(std::process::id()).own_seconds,
            broker_peak_bytes: peaks.max().unwrap_or(0),
            database_peak_bytes: self.server.memory_bytes(),
            statements,
        }))
    }

    /// The sum of a metric without labels over all brokers.
    pub(crate) async fn metric(&self, name: &str) -> Result<u64, BenchError> {
        let mut sum = 0;
        for broker in &self.brokers {
            let client = broker.client(&self.admin_pak)?;
            let text = client
                .metrics()
                .await
                .map_err(|error| BenchError::Broker("tell its metrics", error))?;
            sum += metric_in(&text, name).unwrap_or(0);
        }
        Ok(sum)
    }
}

fn metric_in(text: &str, name: &str) -> Option<u64> {
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    let value: f64 = value.trim().parse().ok()?;
    Some(value as u64)
}

/// Lets this process and the brokers that it starts have as many connections as the system allows. Where it allows no more, a large fleet
/// fails visibly.
pub(crate) fn raise_open_files() {
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, most, most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_read_by_its_whole_name() {
        let text = "# TYPE a counter\na_total 3\na 12\n";
        assert_eq!(metric_in(text, "a"), Some(12));
        assert_eq!(metric_in(text, "b"), None);
    }
}
