//! How the orders of the last hours ended, for everybody who looks at an overview.

use std::sync::Arc;
use std::time::Duration;

use brokkr_core::life::Ending;
use brokkr_core::time::Timestamp;
use tokio::sync::Mutex;

use super::App;
use crate::dal::{DalError, recent_endings};

pub use crate::dal::recent_endings::{Count, Slowness};

/// No more orders are looked at than this, the latest first.
const ORDERS_MAX: u32 = 100_000;
const TYPES_MAX: u32 = 5;

/// How far back to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// An hour, by minutes.
    Hour,
    /// A day, by half hours.
    Day,
}

impl Window {
    /// How long it is.
    #[must_use]
    pub const fn length(self) -> Duration {
        match self {
            Self::Hour => Duration::from_secs(3_600),
            Self::Day => Duration::from_secs(24 * 3_600),
        }
    }

    /// Into how many spans it is divided.
    #[must_use]
    pub const fn buckets(self) -> u32 {
        match self {
            Self::Hour => 60,
            Self::Day => 48,
        }
    }

    /// How long what was found is shown before somebody looks again.
    const fn kept(self) -> Duration {
        match self {
            Self::Hour => Duration::from_secs(5),
            Self::Day => Duration::from_secs(60),
        }
    }

    fn bucket(self) -> Duration {
        self.length() / self.buckets()
    }
}

/// How the orders of a window ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecentEndings {
    /// Where the window begins.
    pub since: Timestamp,
    /// Each way to end in each span in which there was any.
    pub counts: Vec<Count>,
    /// The slowest types of work, the slowest first; only of an hour.
    pub slowest: Vec<Slowness>,
    /// Only orders that ended then or later were looked at, because there are too many.
    pub cut_at: Option<Timestamp>,
}

impl RecentEndings {
    /// How many ended so.
    #[must_use]
    pub fn orders(&self, ending: Ending) -> u64 {
        let of_it = self.counts.iter().filter(|count| count.ending == ending);
        of_it.map(|count| count.orders).sum()
    }

    /// How many attempts were lost of the orders that ended.
    #[must_use]
    pub fn attempts_lost(&self) -> u64 {
        let again: u64 = self.counts.iter().map(|count| count.losses).sum();
        again + self.orders(Ending::Lost)
    }
}

/// What was found for each window, and when.
#[derive(Debug, Default)]
pub(super) struct Kept {
    hour: Mutex<Option<(Timestamp, Arc<RecentEndings>)>>,
    day: Mutex<Option<(Timestamp, Arc<RecentEndings>)>>,
}

impl Kept {
    fn of(&self, window: Window) -> &Mutex<Option<(Timestamp, Arc<RecentEndings>)>> {
        match window {
            Window::Hour => &self.hour,
            Window::Day => &self.day,
        }
    }
}

impl App {
    /// How the orders of the last hour or day ended: some seconds old, so that many who look cost no more than one.
    ///
    /// # Errors
    /// [`DalError`] when the database cannot answer.
    pub async fn recent_endings(&self, window: Window) -> Result<Arc<RecentEndings>, DalError> {
        let mut kept = self.recent_endings.of(window).lock().await;
        let now = self.now();
        if let Some((at, found)) = &*kept
            && now.since(*at) < window.kept()
        {
            return Ok(Arc::clone(found));
        }
        let found = Arc::new(self.count_endings(window, now).await?);
        *kept = Some((now, Arc::clone(&found)));
        Ok(found)
    }

    async fn count_endings(&self, window: Window, now: Timestamp) -> Result<RecentEndings, DalError> {
        let since = now.minus(window.length());
        let bucket = i64::try_from(window.bucket().as_micros()).unwrap_or(i64::MAX);
        let mut tx = self.db.read().await?;
        let counts = recent_endings::by_time(&mut tx, since, bucket, ORDERS_MAX).await?;
        let slowest = match window {
            Window::Hour => recent_endings::by_work_type(&mut tx, since, TYPES_MAX, ORDERS_MAX).await?,
            Window::Day => Vec::new(),
        };
        let looked_at: u64 = counts.iter().map(|count| count.orders).sum();
        let cut = looked_at >= u64::from(ORDERS_MAX);
        Ok(RecentEndings {
            since,
            cut_at: counts.iter().map(|count| count.earliest).min().filter(|_| cut),
            counts,
            slowest,
        })
    }
}
