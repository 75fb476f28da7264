//! What a run is told.

use std::path::PathBuf;
use std::str::FromStr;

/// Which database the brokers work on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseChoice {
    /// A file in a temporary directory, with the broker's own settings (`synchronous=FULL`).
    Sqlite,
    /// A throwaway cluster of the newest installed PostgreSQL server, with that server's default settings.
    Postgres,
    /// A PostgreSQL server that runs already, by the URL of a database from which others may be created and dropped.
    Server(String),
}

impl FromStr for DatabaseChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<DatabaseChoice, String> {
        match text {
            "sqlite" => Ok(DatabaseChoice::Sqlite),
            "postgres" => Ok(DatabaseChoice::Postgres),
            url if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
                Ok(DatabaseChoice::Server(url.to_owned()))
            }
            _ => Err("neither sqlite, nor postgres, nor postgres://USER:PASSWORD@HOST/NAME".to_owned()),
        }
    }
}

/// What a run is told. A size that is absent is that of each scenario.
#[derive(Debug, Clone)]
pub struct Options {
    /// The program whose `broker` command is measured.
    pub executable: PathBuf,
    /// When the run takes place, for the report.
    pub date: String,
    /// The command line, for the report.
    pub command: String,
    /// The database.
    pub database: DatabaseChoice,
    /// How many brokers work on it: 1 or more, and 1 on SQLite.
    pub brokers: u32,
    /// Run everything with one, two and three brokers. PostgreSQL only.
    pub replicas: bool,
    /// How many callers create orders at the same time.
    pub callers: Option<u32>,
    /// How many agents there are.
    pub agents: Option<u32>,
    /// How many orders are worked on.
    pub orders: Option<u64>,
    /// How many orders one batch call has: 1 to 100.
    pub batch: Option<u32>,
    /// How long a scenario with a steady rate lasts.
    pub seconds: Option<u64>,
    /// How many orders wait beside those that are worked on; several are measured one after the other.
    pub backlogs: Vec<u64>,
    /// Orders per second of a steady rate.
    pub rate: Option<u32>,
    /// Whether to measure the database by plain SQL too.
    pub raw: bool,
    /// Makes every size tiny, to see that everything works.
    pub short: bool,
}

impl Options {
    pub(crate) fn callers(&self, usual: u32, short: u32) -> u32 {
        self.callers.unwrap_or(self.usual(usual, short)).max(1)
    }

    pub(crate) fn agents(&self, usual: u32, short: u32) -> u32 {
        self.agents.unwrap_or(self.usual(usual, short)).max(1)
    }

    pub(crate) fn orders(&self, usual: u64, short: u64) -> u64 {
        self.orders.unwrap_or(self.usual(usual, short)).max(1)
    }

    pub(crate) fn batch(&self) -> u32 {
        self.batch.unwrap_or(self.usual(100, 10)).clamp(1, 100)
    }

    pub(crate) fn seconds(&self, usual: u64, short: u64) -> u64 {
        self.seconds.unwrap_or(self.usual(usual, short)).max(1)
    }

    pub(crate) fn rate(&self, usual: u32, short: u32) -> u32 {
        self.rate.unwrap_or(self.usual(usual, short)).max(1)
    }

    /// Ascending, so that a queue can grow from one to the next.
    pub(crate) fn backlogs(&self, usual: &[u64], short: &[u64]) -> Vec<u64> {
        let mut backlogs = match (self.backlogs.is_empty(), self.short) {
            (false, _) => self.backlogs.clone(),
            (true, false) => usual.to_vec(),
            (true, true) => short.to_vec(),
        };
        backlogs.sort_unstable();
        backlogs
    }

    fn usual<T>(&self, usual: T, short: T) -> T {
        if self.short { short } else { usual }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_chosen_by_word_or_url() {
        assert_eq!("sqlite".parse(), Ok(DatabaseChoice::Sqlite));
        assert_eq!("postgres".parse(), Ok(DatabaseChoice::Postgres));
        let url = "postgres://brokkr@db/brokkr";
        assert_eq!(url.parse(), Ok(DatabaseChoice::Server(url.to_owned())));
        assert!("mysql".parse::<DatabaseChoice>().is_err());
    }
}
