//! Listing the log.

use brokkr_core::ids::WorkOrderId;
use brokkr_core::life::Ending;
use brokkr_core::time::Timestamp;
use uuid::Uuid;

use super::{LogEntry, entries};
use crate::dal::terms::{Terms, terms};
use crate::dal::{DalError, Sql, Tx, Value, params, statements};

/// Where entries are read from. SQLite is told the index: with statistics it may prefer to read all of another one, and to sort.
macro_rules! from {
    (postgres, $index:literal) => {
        " FROM work_order_log "
    };
    (sqlite, $index:literal) => {
        concat!(" FROM work_order_log INDEXED BY work_order_log_", $index, " ")
    };
}

/// What comes after `$1` and `$2`, down to `$last`, the latest ending first. A plain list has no more conditions than its index finds:
/// those that may or may not hold have PostgreSQL expect that hardly any entry is found.
macro_rules! list {
    ($dialect:ident, $index:literal, $conditions:expr, $last:literal) => {
        concat!(
            "SELECT *",
            from!($dialect, $index),
            "WHERE (completed_at, id) < ($1, $2)
               AND (completed_at, id) >= ",
            $last,
            $conditions,
            " ORDER BY completed_at DESC, id DESC
              LIMIT $3"
        )
    };
}

/// What the index begins with is told twice, so that PostgreSQL reads it.
macro_rules! sought {
    ($dialect:ident, $index:literal, $leading:literal) => {
        list!(
            $dialect,
            $index,
            concat!(
                $leading,
                terms!($dialect, "work_order_log"),
                " AND (CAST($9 AS BOOLEAN) IS NULL OR success = $9)
                  AND (CAST($10 AS TEXT) IS NULL OR ending = $10)
                  AND (CAST($11 AS BOOLEAN) IS NULL OR (lost_count > 0 OR ending = 'lost') = $11)"
            ),
            "($12, $13) "
        )
    };
}

macro_rules! horizon {
    ($dialect:ident, $index:literal, $leading:literal) => {
        concat!(
            "SELECT completed_at, id",
            from!($dialect, $index),
            "WHERE (completed_at, id) < ($1, $2) ",
            $leading,
            " ORDER BY completed_at DESC, id DESC
              LIMIT 1 OFFSET $3"
        )
    };
}

/// Three statements for each index, with the condition that it begins with as it stands in a list, in a search, and in the search's horizon.
macro_rules! along {
    ($($list:ident, $sift:ident, $horizon:ident: $index:literal, $of_list:literal, $of_sift:literal, $of_horizon:literal;)*) => {
        statements! {$(
            static $list = Sql::per_dialect(
                concat!("log.list_by_", $index),
                list!(postgres, $index, $of_list, "($4, $5) "),
                list!(sqlite, $index, $of_list, "($4, $5) "),
            );
            static $sift = Sql::per_dialect(
                concat!("log.sift_by_", $index),
                sought!(postgres, $index, $of_sift),
                sought!(sqlite, $index, $of_sift),
            );
            static $horizon = Sql::per_dialect(
                concat!("log.horizon_by_", $index),
                horizon!(postgres, $index, $of_horizon),
                horizon!(sqlite, $index, $of_horizon),
            );
        )*}
    };
}

along! {
    LIST, SIFT, HORIZON:
        "completed", "", "", "";
    LIST_BY_AGENT, SIFT_BY_AGENT, HORIZON_BY_AGENT:
        "agent", "AND claimed_by = $6", "AND claimed_by = $5", "AND claimed_by = $4";
    LIST_BY_WORK_TYPE, SIFT_BY_WORK_TYPE, HORIZON_BY_WORK_TYPE:
        "work_type", "AND work_type = $6", "AND work_type = $4", "AND work_type = $4";
    LIST_BY_SUCCESS, SIFT_BY_SUCCESS, HORIZON_BY_SUCCESS:
        "success", "AND success = $6", "AND success = $9", "AND success = $4";
    LIST_BY_LOST_ATTEMPTS, SIFT_BY_LOST_ATTEMPTS, HORIZON_BY_LOST_ATTEMPTS:
        "lost_attempts", "AND (lost_count > 0 OR ending = 'lost')", "AND (lost_count > 0 OR ending = 'lost')",
        "AND (lost_count > 0 OR ending = 'lost')";
}

/// What a list is read along: its statements, and what they are told of it.
struct Along {
    list: &'static Sql,
    sift: &'static Sql,
    horizon: &'static Sql,
    value: Option<Value>,
}

/// Which entries to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogFilter {
    /// What else must hold.
    pub terms: Terms,
    /// Only successes, or only the others.
    pub success: Option<bool>,
    /// Only those that ended so.
    pub ending: Option<Ending>,
    /// Only those that lost an attempt, or only the others.
    pub lost_attempt: Option<bool>,
    /// Only those that ended at this time or later.
    pub ended_from: Option<Timestamp>,
    /// Only this one and those that ended later.
    pub until: Option<LogPosition>,
}

impl LogFilter {
    /// Whether entries are looked at that are not wanted.
    #[must_use]
    pub fn sifts(&self) -> bool {
        let indexed = [
            self.terms.work_type.is_some(),
            self.success().is_some(),
            self.terms.agent.is_some(),
            self.lost_attempt.is_some(),
        ];
        self.terms.sift()
            || self.ending.is_some_and(|ending| ending != Ending::Succeeded)
            || self.lost_attempt == Some(false)
            || indexed.into_iter().filter(|told| *told).count() > 1
    }

    /// The index that finds the fewest entries.
    fn along(&self) -> Along {
        let (list, sift, horizon, value) = match (self.terms.agent, &self.terms.work_type, self.success()) {
            _ if self.lost_attempt == Some(true) => (
                &LIST_BY_LOST_ATTEMPTS,
                &SIFT_BY_LOST_ATTEMPTS,
                &HORIZON_BY_LOST_ATTEMPTS,
                None,
            ),
            (Some(agent), _, _) => (
                &LIST_BY_AGENT,
                &SIFT_BY_AGENT,
                &HORIZON_BY_AGENT,
                Some(agent.into()),
            ),
            (None, Some(work_type), _) => (
                &LIST_BY_WORK_TYPE,
                &SIFT_BY_WORK_TYPE,
                &HORIZON_BY_WORK_TYPE,
                Some(work_type.into()),
            ),
            (None, None, Some(success)) => (
                &LIST_BY_SUCCESS,
                &SIFT_BY_SUCCESS,
                &HORIZON_BY_SUCCESS,
                Some(success.into()),
            ),
            (None, None, None) => (&LIST, &SIFT, &HORIZON, None),
        };
        Along {
            list,
            sift,
            horizon,
            value,
        }
    }

    /// The last one that may be looked at.
    fn last(&self) -> LogPosition {
        let first_of_time = LogPosition {
            completed_at: self.ended_from.unwrap_or(Timestamp::from_micros(0)),
            id: WorkOrderId::new(Uuid::nil()),
        };
        self.until.map_or(first_of_time, |until| until.max(first_of_time))
    }

    /// An ending tells it too, which leads to the index.
    fn success(&self) -> Option<bool> {
        let of_ending = self.ending.map(|ending| ending == Ending::Succeeded);
        self.success.or(of_ending)
    }
}

/// A place in the list of the log: the last entry of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogPosition {
    /// When that entry's order ended.
    pub completed_at: Timestamp,
    /// The order.
    pub id: WorkOrderId,
}

impl LogEntry {
    /// Its place in the list.
    #[must_use]
    pub const fn position(&self) -> LogPosition {
        LogPosition {
            completed_at: self.completed_at,
            id: self.id,
        }
    }
}

/// A page of the log, the latest ending first: at most `limit` entries that come after `after` in this order.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn list(
    tx: &mut Tx,
    filter: &LogFilter,
    after: Option<LogPosition>,
    limit: u32,
) -> Result<Vec<LogEntry>, DalError> {
    let along = filter.along();
    let last = filter.last();
    let last = params![last.completed_at, last.id];
    let mut values = begin(after);
    values.push(limit.into());
    let statement = match filter.sifts() {
        false => {
            values.extend(last);
            values.extend(along.value);
            along.list
        }
        true => {
            values.extend(filter.terms.values());
            values.extend(params![filter.success(), filter.ending, filter.lost_attempt]);
            values.extend(last);
            along.sift
        }
    };
    entries(&tx.fetch_all(statement, values).await?)
}

/// The last one of the first `entries` that come after `after`, whatever is sought among them; nothing when there are fewer. At least one.
///
/// # Errors
/// [`DalError`] when the database fails.
pub async fn horizon(
    tx: &mut Tx,
    filter: &LogFilter,
    after: Option<LogPosition>,
    entries: u32,
) -> Result<Option<LogPosition>, DalError> {
    let along = filter.along();
    let mut values = begin(after);
    values.push(entries.saturating_sub(1).into());
    values.extend(along.value);
    let row = tx.fetch_optional(along.horizon, values).await?;
    row.map(|row| {
        Ok(LogPosition {
            completed_at: row.get("completed_at")?,
            id: row.get("id")?,
        })
    })
    .transpose()
}

fn begin(after: Option<LogPosition>) -> Vec<Value> {
    params![
        after.map_or(i64::MAX, |after| after.completed_at.as_micros()),
        after.map_or(Uuid::max(), |after| after.id.as_uuid()),
    ]
}
