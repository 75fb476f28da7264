//! Listing the log.

use brokkr_core::ids::WorkOrderId;
use brokkr_core::life::Ending;
use brokkr_core::time::Timestamp;
use uuid::Uuid;

use super::{LogEntry, entries};
use crate::dal::terms::{Terms, terms};
use crate::dal::{DalError, Sql, Tx, Value, params, statements};

/// The latest ending first. One condition is told twice, so that both databases read the index that begins with it. Only what looks at a
/// bounded number of entries says where to stop, as in the queue.
macro_rules! list {
    ($dialect:ident, $leading:literal) => {
        list!($dialect, $leading, "")
    };
    ($dialect:ident, $leading:literal, $until:literal) => {
        concat!(
            "SELECT * FROM work_order_log
              WHERE (completed_at, id) < ($1, $2) ",
            $until,
            $leading,
            terms!($dialect, "work_order_log"),
            "   AND (CAST($9 AS BOOLEAN) IS NULL OR success = $9)
                AND (CAST($10 AS TEXT) IS NULL OR ending = $10)
              ORDER BY completed_at DESC, id DESC
              LIMIT $3"
        )
    };
}

macro_rules! horizon {
    ($leading:literal) => {
        concat!(
            "SELECT completed_at, id
               FROM work_order_log
              WHERE (completed_at, id) < ($1, $2) ",
            $leading,
            " ORDER BY completed_at DESC, id DESC
              LIMIT 1 OFFSET $3"
        )
    };
}

statements! {
    static LIST = Sql::per_dialect("log.list", list!(postgres, ""), list!(sqlite, ""));

    static LIST_OF_AGENT = Sql::per_dialect(
        "log.list_of_agent",
        list!(postgres, "AND claimed_by = $5"),
        list!(sqlite, "AND claimed_by = $5"),
    );

    static LIST_OF_WORK_TYPE = Sql::per_dialect(
        "log.list_of_work_type",
        list!(postgres, "AND work_type = $4"),
        list!(sqlite, "AND work_type = $4"),
    );

    static LIST_OF_SUCCESS = Sql::per_dialect(
        "log.list_of_success",
        list!(postgres, "AND success = $9"),
        list!(sqlite, "AND success = $9"),
    );

    static SIFT = Sql::per_dialect(
        "log.sift",
        list!(postgres, "", "AND (completed_at, id) >= ($11, $12) "),
        list!(sqlite, "", "AND (completed_at, id) >= ($11, $12) "),
    );

    static SIFT_OF_AGENT = Sql::per_dialect(
        "log.sift_of_agent",
        list!(postgres, "AND claimed_by = $5", "AND (completed_at, id) >= ($11, $12) "),
        list!(sqlite, "AND claimed_by = $5", "AND (completed_at, id) >= ($11, $12) "),
    );

    static SIFT_OF_WORK_TYPE = Sql::per_dialect(
        "log.sift_of_work_type",
        list!(postgres, "AND work_type = $4", "AND (completed_at, id) >= ($11, $12) "),
        list!(sqlite, "AND work_type = $4", "AND (completed_at, id) >= ($11, $12) "),
    );

    static SIFT_OF_SUCCESS = Sql::per_dialect(
        "log.sift_of_success",
        list!(postgres, "AND success = $9", "AND (completed_at, id) >= ($11, $12) "),
        list!(sqlite, "AND success = $9", "AND (completed_at, id) >= ($11, $12) "),
    );

    static HORIZON = Sql::shared("log.horizon", horizon!(""));

    static HORIZON_OF_AGENT = Sql::shared("log.horizon_of_agent", horizon!("AND claimed_by = $4"));

    static HORIZON_OF_WORK_TYPE = Sql::shared("log.horizon_of_work_type", horizon!("AND work_type = $4"));

    static HORIZON_OF_SUCCESS = Sql::shared("log.horizon_of_success", horizon!("AND success = $4"));
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
        ];
        self.terms.sift()
            || self.ending.is_some_and(|ending| ending != Ending::Succeeded)
            || indexed.into_iter().filter(|told| *told).count() > 1
    }

    /// The last one that may be looked at.
    fn last(&self) -> Option<LogPosition> {
        let first_of_time = self.ended_from.map(|completed_at| LogPosition {
            completed_at,
            id: WorkOrderId::new(Uuid::nil()),
        });
        self.until.max(first_of_time)
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
    let success = filter.success();
    let (list, sift) = match (filter.terms.agent, &filter.terms.work_type, success) {
        (Some(_), _, _) => (&LIST_OF_AGENT, &SIFT_OF_AGENT),
        (None, Some(_), _) => (&LIST_OF_WORK_TYPE, &SIFT_OF_WORK_TYPE),
        (None, None, Some(_)) => (&LIST_OF_SUCCESS, &SIFT_OF_SUCCESS),
        (None, None, None) => (&LIST, &SIFT),
    };
    let mut values = begin(after);
    values.push(limit.into());
    values.extend(filter.terms.values());
    values.extend(params![success, filter.ending]);
    let statement = match filter.last() {
        Some(last) => {
            values.extend(params![last.completed_at, last.id]);
            sift
        }
        None => list,
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
    let mut values = begin(after);
    values.push(entries.saturating_sub(1).into());
    let statement = match (filter.terms.agent, &filter.terms.work_type, filter.success()) {
        (Some(agent), _, _) => {
            values.push(agent.into());
            &HORIZON_OF_AGENT
        }
        (None, Some(work_type), _) => {
            values.push(work_type.into());
            &HORIZON_OF_WORK_TYPE
        }
        (None, None, Some(success)) => {
            values.push(success.into());
            &HORIZON_OF_SUCCESS
        }
        (None, None, None) => &HORIZON,
    };
    let row = tx.fetch_optional(statement, values).await?;
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
