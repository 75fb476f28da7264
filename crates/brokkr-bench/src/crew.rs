//! Callers that work at the same time.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::BenchError;
use crate::recorder::Recorder;

/// Between two looks at whether something has come true.
const LOOK: Duration = Duration::from_millis(10);

/// Tasks that end with this value.
pub(crate) struct Crew(JoinSet<()>);

impl Crew {
    pub(crate) fn new() -> Crew {
        Crew(JoinSet::new())
    }

    pub(crate) fn add(&mut self, work: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(work);
    }

    /// Waits until all have finished.
    pub(crate) async fn finish(mut self) -> Result<(), BenchError> {
        while let Some(ended) = self.0.join_next().await {
            ended?;
        }
        Ok(())
    }

    /// Ends those that would go on for ever.
    pub(crate) async fn dismiss(mut self) {
        self.0.shutdown().await;
    }
}

/// Waits until so many operations are counted, `patience` has passed since the last one, or nothing works any more.
pub(crate) async fn until_done(recorder: &Arc<Recorder>, operations: u64, patience: Duration) {
    let mut seen = (recorder.operations(), tokio::time::Instant::now());
    while seen.0 < operations && !recorder.hopeless() && seen.1.elapsed() < patience {
        sleep(LOOK).await;
        let now = recorder.operations();
        if now != seen.0 {
            seen = (now, tokio::time::Instant::now());
        }
    }
}
