//! Telling the broker whether the agent reaches its cluster.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, info, warn};

use crate::broker::Broker;
use crate::kube::Cluster;

/// The longest that a cluster counts as reachable without having answered.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// Asks the cluster again and again, and tells the broker.
pub(crate) struct ClusterProbe {
    pub(crate) cluster: Cluster,
    pub(crate) broker: Arc<Broker>,
    pub(crate) interval: Duration,
}

impl ClusterProbe {
    pub(crate) async fn run(self) {
        let mut reachable = true;
        loop {
            let latency = self.ask(&mut reachable).await;
            if let Err(error) = self.broker.report_cluster(latency).await {
                // Renewals tell when the broker cannot be reached.
                debug!(%error, "could not tell the broker about the cluster");
            }
            sleep(self.interval).await;
        }
    }

    /// How long the cluster took to answer; nothing when it did not. A change is told once.
    async fn ask(&self, reachable: &mut bool) -> Option<Duration> {
        let begun = Instant::now();
        let answer = timeout(ANSWER_LIMIT, self.cluster.version()).await;
        let latency = matches!(answer, Ok(Ok(_))).then(|| begun.elapsed());
        match (&answer, std::mem::replace(reachable, latency.is_some())) {
            (Ok(Ok(_)), false) => info!("the cluster can be reached again"),
            (Ok(Err(failure)), true) => warn!(error = failure.chain(), "the cluster cannot be reached"),
            (Err(_), true) => warn!(
                limit_seconds = ANSWER_LIMIT.as_secs(),
                "the cluster does not answer in time"
            ),
            _ => {}
        }
        latency
    }
}
