//! The executor of the simulated agents: it starts work on its host, follows it, and takes it over, as those of the product do.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use brokkr_agent::attempt::{AttemptId, Claim};
use brokkr_agent::clock::Clock as _;
use brokkr_agent::execute::{Context, Executor, LookupError, Outcome, class_of};
use brokkr_api::FailureClass;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use crate::host::{Host, Phase};

/// The type of all simulated work.
pub(crate) const WORK_TYPE: &str = "scripted";
/// How long an earlier attempt may take to end before a new one is given up.
const ALONE_LIMIT: Duration = Duration::from_secs(20);

/// Does work on one host.
pub(crate) struct ScriptedExecutor(pub(crate) Host);

impl ScriptedExecutor {
    /// Waits until no other attempt at the order runs here.
    async fn until_alone(&self, id: AttemptId) -> bool {
        let alone = async {
            while let Some(sibling) = self.0.sibling(id) {
                self.0.end_of(sibling).await;
            }
        };
        timeout(ALONE_LIMIT, alone).await.is_ok()
    }

    async fn follow(&self, id: AttemptId, context: &Context) -> Outcome {
        let end = self.0.end_of(id);
        tokio::pin!(end);
        let end = tokio::select! {
            biased;
            end = &mut end => end,
            reason = context.stop.requested() => {
                self.0.stop(id, reason);
                end.await
            }
        };
        let words = format!("the end of attempt {}\n", id.attempt);
        context.output.push("stdout", self.0.clock().now(), words).await;
        match end {
            Some(Phase::Succeeded) => Outcome::Success {
                message: None,
                exit_code: Some(0),
                result: None,
            },
            Some(Phase::Failed(class)) => Outcome::failure(class, "it failed"),
            Some(Phase::Stopped(reason)) => {
                Outcome::failure(class_of(reason), format!("stopped, because {reason}"))
            }
            Some(Phase::Killed | Phase::Running) | None => Outcome::Unknown {
                message: "the host went down".to_owned(),
            },
        }
    }
}

#[async_trait]
impl Executor for ScriptedExecutor {
    fn work_type(&self) -> &str {
        WORK_TYPE
    }

    async fn execute(&self, claim: &Claim, context: Context) -> Outcome {
        if !self.until_alone(claim.id).await {
            return Outcome::failure(FailureClass::Infrastructure, "an earlier attempt does not stop");
        }
        tokio::select! {
            biased;
            reason = context.stop.requested() => {
                return Outcome::failure(class_of(reason), format!("not started, because {reason}"));
            }
            () = sleep(self.0.script(claim.id).preparation) => {}
        }
        self.0.start(claim.id);
        self.follow(claim.id, &context).await
    }

    async fn holds(&self, claim: &Claim, attempt: i64) -> Result<bool, LookupError> {
        let id = AttemptId { attempt, ..claim.id };
        Ok(self.0.has(id, id == claim.id))
    }

    async fn adopt(&self, claim: &Claim, attempt: i64, context: Context) -> Outcome {
        self.follow(AttemptId { attempt, ..claim.id }, &context).await
    }

    async fn settled(&self, claim: &Claim, accepted: bool) {
        self.0.settled(claim.id, accepted);
    }

    async fn tidy(&self, _agent: Uuid, held: &BTreeSet<Uuid>) {
        self.0.tidy(held);
    }
}
