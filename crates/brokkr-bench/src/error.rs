//! Why a run ended without a report.

use std::io;

use brokkr_client::{ClientError, ConfigError};
use brokkr_testkit_postgres::ClusterError;

use crate::RawError;
use crate::wire::WireError;

/// Why a run ended without a report. What a broker answers wrongly while it is measured is counted in its [`crate::Outcome`] instead.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// There is no scenario with this name.
    #[error("there is no scenario {0:?}; there are: {1}")]
    UnknownScenario(String, String),
    /// The choice cannot be measured.
    #[error("{0}")]
    Options(&'static str),
    /// No PostgreSQL cluster could be started.
    #[error("no database could be started")]
    Cluster(#[from] ClusterError),
    /// A statement of the bench's own failed.
    #[error("could not {0}")]
    Database(&'static str, #[source] sqlx::Error),
    /// The database's URL cannot be read.
    #[error("the database's URL cannot be used")]
    DatabaseUrl(#[from] url::ParseError),
    /// A file or process could not be had.
    #[error("could not {0}")]
    System(&'static str, #[source] io::Error),
    /// A broker ended, or did not listen in time.
    #[error("a broker did not start; its log says:\n{log}")]
    BrokerNotStarted {
        /// The end of what it wrote.
        log: String,
    },
    /// A call that prepares or inspects failed.
    #[error("the broker did not {0}")]
    Broker(&'static str, #[source] ClientError),
    /// A client could not be made.
    #[error("no client could be made")]
    Client(#[from] ConfigError),
    /// A request that prepares failed.
    #[error("could not {0}")]
    Wire(&'static str, #[source] WireError),
    /// A preparation did not lead to what it should.
    #[error("after {what} there should be {expected}, but there are {found}")]
    Unprepared {
        /// What was done.
        what: &'static str,
        /// How many there should be.
        expected: u64,
        /// How many there are.
        found: u64,
    },
    /// A task of the bench panicked.
    #[error("a caller broke down")]
    Caller(#[from] tokio::task::JoinError),
    /// The recorder of latencies could not be made.
    #[error("latencies cannot be recorded")]
    Recorder(#[from] hdrhistogram::CreationError),
    /// The raw limits could not be measured.
    #[error("the database's own limits could not be measured")]
    Raw(#[from] RawError),
}
