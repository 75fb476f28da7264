//! What a run found, as it is written to a file and read again.

use serde::{Deserialize, Serialize};

use crate::Limit;

/// Everything that one run found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Where it ran.
    pub machine: Machine,
    /// One row for each scenario and variant, in the order in which they ran.
    pub rows: Vec<Outcome>,
    /// What the same database did by plain SQL in the same run. Empty when none was asked for.
    pub limits: Vec<Limit>,
}

impl Report {
    /// Whether nothing failed and everything added up.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.rows.iter().all(|row| row.errors == 0)
    }

    /// Puts into each row how it compares with its raw limit.
    pub(crate) fn compare_with_limits(&mut self) {
        for row in &mut self.rows {
            let limit = self
                .limits
                .iter()
                .find(|limit| row.limit.as_ref() == Some(&limit.name));
            row.limit_ratio = limit.map(|limit| ratio(row.per_second(), limit.per_second()));
        }
    }
}

/// Where and with what a run took place.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Machine {
    /// The date of the run, as its caller gave it.
    pub date: String,
    /// The command that was run.
    pub command: String,
    /// Cores that this process may use.
    pub cores: usize,
    /// The machine's memory in bytes; 0 when unknown.
    pub memory_bytes: u64,
    /// The kernel's release.
    pub kernel: String,
    /// The database's name and version.
    pub database: String,
    /// The database's settings that decide about durability and memory, as name and value.
    pub settings: Vec<(String, String)>,
    /// Broker processes that ran on the database.
    pub brokers: u32,
}

/// One row of a report.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// The scenario's name as on the command line.
    pub scenario: String,
    /// What was varied; unique within the scenario.
    pub variant: String,
    /// What `operations` counts: `lifecycles`, `orders created`, `renewals`.
    pub unit: String,
    /// Operations that were done and counted.
    pub operations: u64,
    /// How long they took together.
    pub seconds: f64,
    /// How long each call took; `None` where nothing was timed one by one.
    pub latency: Option<Latency>,
    /// Calls that failed, and results that did not add up.
    pub errors: u64,
    /// Claims that found their order taken by another agent.
    pub contention: u64,
    /// What the processes used meanwhile.
    pub usage: Usage,
    /// The name of the raw limit that `operations` per second compare with.
    pub limit: Option<String>,
    /// Operations per second divided by those of the raw limit.
    pub limit_ratio: Option<f64>,
    /// What else was seen, as name and value with its unit, for example `pending list` and `1.2 ms`.
    pub notes: Vec<(String, String)>,
}

impl Outcome {
    /// Operations per second; 0 when no time passed.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        ratio(self.operations as f64, self.seconds)
    }

    /// Says something else that was seen.
    pub(crate) fn note(&mut self, name: &str, value: impl Into<String>) {
        self.notes.push((name.to_owned(), value.into()));
    }

    /// Counts an error unless both numbers are the same.
    pub(crate) fn expect(&mut self, what: &str, expected: u64, found: u64) {
        if expected != found {
            self.errors += 1;
            self.note(what, format!("{found} instead of {expected}"));
        }
    }

    /// SQL statements of the brokers for each operation; 0 when there was none.
    #[must_use]
    pub fn statements_per_operation(&self) -> f64 {
        ratio(self.usage.statements as f64, self.operations as f64)
    }
}

fn ratio(above: f64, below: f64) -> f64 {
    if below > 0.0 { above / below } else { 0.0 }
}

/// Latencies in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Latency {
    /// Half of the calls took at most this.
    pub p50_ms: f64,
    /// 95 of 100 calls took at most this.
    pub p95_ms: f64,
    /// 99 of 100 calls took at most this.
    pub p99_ms: f64,
    /// The slowest call.
    pub max_ms: f64,
}

/// What the processes used between two moments.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// CPU seconds of all brokers, user and system.
    pub broker_cpu_seconds: f64,
    /// CPU seconds of the database server's processes; 0 for SQLite, which works inside the broker, and for a server that the run did not start.
    pub database_cpu_seconds: f64,
    /// CPU seconds of this process.
    pub client_cpu_seconds: f64,
    /// The largest resident memory of any one broker so far, in bytes.
    pub broker_peak_bytes: u64,
    /// The memory of the database server's processes at the end, shared buffers counted once, in bytes.
    pub database_peak_bytes: u64,
    /// SQL statements that all brokers sent.
    pub statements: u64,
}
