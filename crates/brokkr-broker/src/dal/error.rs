//! What can go wrong between the broker and its database.

use std::sync::Arc;

use sqlx::error::{DatabaseError, ErrorKind};

/// The source of an error, whatever made it.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A storage operation that did not happen.
///
/// Classified by SQLSTATE and by SQLite's result code, never by a message.
#[derive(Debug, thiserror::Error)]
pub enum DalError {
    /// The database cannot be reached, is starting, stopping or full, or was too busy with others. Trying again later may
    /// succeed. A commit that ended so may or may not have happened.
    #[error("the database is not available ({operation})")]
    Unavailable {
        /// What was tried: a statement's name, or `connect`, `begin`, `commit`.
        operation: &'static str,
        /// The driver's error.
        #[source]
        source: sqlx::Error,
    },
    /// A constraint refused the change. SQLite does not say which one, so a statement is written such that its kind is
    /// enough to know.
    #[error("{statement} would break a {} constraint", kind.as_str())]
    Constraint {
        /// The kind of constraint.
        kind: ConstraintKind,
        /// The statement's name.
        statement: &'static str,
        /// The driver's error.
        #[source]
        source: sqlx::Error,
    },
    /// The database holds a value that the broker would never have written.
    #[error("{statement} read a value in column {column} that makes no sense")]
    Corrupt {
        /// The statement's name, which names the table.
        statement: &'static str,
        /// The column.
        column: &'static str,
        /// Why it makes no sense.
        #[source]
        source: BoxError,
    },
    /// A text with a NUL character, which PostgreSQL cannot keep.
    #[error("{statement} was given a text with a NUL character")]
    NulCharacter {
        /// The statement's name.
        statement: &'static str,
    },
    /// The rows of a batch do not have the columns that its statement names.
    #[error("{statement} was given rows of the wrong width")]
    RowWidth {
        /// The statement's name.
        statement: &'static str,
    },
    /// An earlier statement of the same transaction failed, so nothing of it may be kept.
    #[error("{operation} came after a failed statement in the same transaction")]
    Aborted {
        /// What was tried.
        operation: &'static str,
    },
    /// A statement that completes another one changed more or fewer rows than that had. Nothing of the transaction may be
    /// kept.
    #[error("{statement} changed {changed} rows instead of {expected}")]
    Miscounted {
        /// The statement's name.
        statement: &'static str,
        /// How many rows it had to change.
        expected: u64,
        /// How many it changed.
        changed: u64,
    },
    /// More requests of the kind wait already than the broker holds. Trying again later may succeed.
    #[error("too many requests wait to {operation}")]
    Overrun {
        /// What was to be done.
        operation: &'static str,
    },
    /// The batch that it was part of failed.
    #[error("the batch of requests failed")]
    InBatch(#[source] Arc<DalError>),
    /// The database's address cannot be used.
    #[error("the database address is not valid: it must be sqlite:PATH, sqlite::memory: or postgres://...")]
    Address(#[source] BoxError),
    /// Anything else, which is a defect in the statement or in the database.
    #[error("{statement} failed")]
    Query {
        /// The statement's name.
        statement: &'static str,
        /// The driver's error.
        #[source]
        source: sqlx::Error,
    },
}

/// The kinds of constraint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConstraintKind {
    /// A second row with the same key.
    Unique,
    /// A reference to a row that does not exist, or the removal of one that is referred to.
    ForeignKey,
    /// An invariant of the table.
    Check,
    /// A value that must be there.
    NotNull,
}

impl ConstraintKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Unique => "unique",
            Self::ForeignKey => "foreign key",
            Self::Check => "check",
            Self::NotNull => "not-null",
        }
    }
}

impl DalError {
    /// Whether the same call may succeed when it is made again later.
    #[must_use]
    pub fn transient(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::Overrun { .. } => true,
            Self::InBatch(error) => error.transient(),
            _ => false,
        }
    }

    /// The kind of constraint that refused the change, if one did.
    #[must_use]
    pub fn constraint(&self) -> Option<ConstraintKind> {
        match self {
            Self::Constraint { kind, .. } => Some(*kind),
            Self::InBatch(error) => error.constraint(),
            _ => None,
        }
    }

    pub(super) fn classify(operation: &'static str, source: sqlx::Error) -> Self {
        let unavailable = match &source {
            sqlx::Error::Database(error) => match constraint_kind(error.as_ref()) {
                Some(kind) => {
                    return Self::Constraint {
                        kind,
                        statement: operation,
                        source,
                    };
                }
                None => passing(error.as_ref()),
            },
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed => true,
            _ => false,
        };
        if unavailable {
            Self::Unavailable { operation, source }
        } else {
            Self::Query {
                statement: operation,
                source,
            }
        }
    }
}

fn constraint_kind(error: &dyn DatabaseError) -> Option<ConstraintKind> {
    match error.kind() {
        ErrorKind::UniqueViolation => Some(ConstraintKind::Unique),
        ErrorKind::ForeignKeyViolation => Some(ConstraintKind::ForeignKey),
        ErrorKind::CheckViolation => Some(ConstraintKind::Check),
        ErrorKind::NotNullViolation => Some(ConstraintKind::NotNull),
        _ => None,
    }
}

/// Whether the database's own code means "not now" and not "never".
fn passing(error: &dyn DatabaseError) -> bool {
    let Some(code) = error.code() else {
        return false;
    };
    if error
        .try_downcast_ref::<sqlx::postgres::PgDatabaseError>()
        .is_some()
    {
        passing_sqlstate(&code)
    } else {
        code.parse().is_ok_and(passing_sqlite_code)
    }
}

fn passing_sqlstate(code: &str) -> bool {
    match code {
        // read_only_sql_transaction: a replica that is being promoted, or a primary that is being demoted.
        // idle_in_transaction_session_timeout ends the session.
        "25006" | "25P03"
        // serialization_failure, deadlock_detected, lock_not_available, query_canceled (the statement timeout).
        | "40001" | "40P01" | "55P03" | "57014" => true,
        // Connection, resources, operator intervention (shutdown, starting up), system error.
        _ => ["08", "53", "57P", "58"]
            .iter()
            .any(|class| code.starts_with(class)),
    }
}

/// Takes an extended result code; its lowest byte is the primary one.
fn passing_sqlite_code(code: i32) -> bool {
    const BUSY: i32 = 5;
    const LOCKED: i32 = 6;
    const NOMEM: i32 = 7;
    const READONLY: i32 = 8;
    const INTERRUPT: i32 = 9;
    const IOERR: i32 = 10;
    const FULL: i32 = 13;
    const CANTOPEN: i32 = 14;
    const PROTOCOL: i32 = 15;
    matches!(
        code & 0xff,
        BUSY | LOCKED | NOMEM | READONLY | INTERRUPT | IOERR | FULL | CANTOPEN | PROTOCOL
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_that_starts_stops_or_is_overrun_is_only_away() {
        for code in [
            "57P03", "57P01", "53300", "53100", "25006", "58030", "08006", "40001", "40P01", "55P03", "57014",
        ] {
            assert!(passing_sqlstate(code), "{code}");
        }
        for code in ["42601", "42703", "22P02", "23505", "57000"] {
            assert!(!passing_sqlstate(code), "{code}");
        }
    }

    #[test]
    fn extended_codes_of_sqlite_count_as_their_primary_code() {
        // SQLITE_BUSY_SNAPSHOT, SQLITE_IOERR_FSYNC, SQLITE_IOERR_WRITE, SQLITE_READONLY, SQLITE_READONLY_DIRECTORY, SQLITE_FULL.
        for code in [517, 1_034, 778, 8, 1_544, 13] {
            assert!(passing_sqlite_code(code), "{code}");
        }
        // SQLITE_ERROR, SQLITE_CONSTRAINT_CHECK, SQLITE_CORRUPT.
        for code in [1, 275, 11] {
            assert!(!passing_sqlite_code(code), "{code}");
        }
    }
}
