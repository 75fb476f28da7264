//! Asking the executors whether they can work now, beside everything else: one that is slow to answer keeps nobody waiting.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use crate::execute::Executors;

/// How long an executor may take to say whether it can work now.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// The types that cannot be done now, and why. Nothing before they have been asked.
pub(crate) type Unavailable = Option<BTreeMap<String, String>>;

/// Asks again and again.
pub(crate) struct Availability {
    pub(crate) executors: Executors,
    /// Those that are asked about.
    pub(crate) work_types: Vec<String>,
    pub(crate) again: Duration,
    pub(crate) known: watch::Sender<Unavailable>,
}

impl Availability {
    pub(crate) async fn run(self) {
        loop {
            let unavailable = self.ask().await;
            self.known.send_if_modified(|known| {
                let changed = known.as_ref() != Some(&unavailable);
                if changed {
                    tell(known.as_ref(), &unavailable);
                    *known = Some(unavailable);
                }
                changed
            });
            sleep(self.again).await;
        }
    }

    async fn ask(&self) -> BTreeMap<String, String> {
        let executors = self
            .work_types
            .iter()
            .filter_map(|work_type| self.executors.get(work_type));
        let asked = executors.map(|executor| async {
            let answer = timeout(ANSWER_LIMIT, executor.available()).await;
            let reason = answer
                .unwrap_or_else(|_| Err("whether it can be done is not known yet".to_owned()))
                .err()?;
            Some((executor.work_type().to_owned(), reason))
        });
        join_all(asked).await.into_iter().flatten().collect()
    }
}

fn tell(before: Option<&BTreeMap<String, String>>, now: &BTreeMap<String, String>) {
    for (work_type, reason) in now {
        if before.and_then(|before| before.get(work_type)) != Some(reason) {
            warn!(
                work_type,
                reason, "work of this type cannot be done now and is not claimed"
            );
        }
    }
    let known_before = before.into_iter().flat_map(BTreeMap::keys);
    for work_type in known_before.filter(|work_type| !now.contains_key(*work_type)) {
        info!(work_type, "work of this type can be done again");
    }
}
