//! Executors: each does the work of one type. They know neither the broker nor leases.

pub mod build;
pub mod command;
pub mod manifests;
mod run;

pub use run::KubeExecutorSettings;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use brokkr_api::FailureClass;
use serde_json::Value;
use uuid::Uuid;

use crate::attempt::{AttemptId, Claim};
use crate::output::OutputSink;
use crate::stop::{StopReason, StopSignal};

/// How an attempt ended. It comes from an exit status or a terminal condition, never from words or a stream that ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The work was done.
    Success {
        /// The result in words.
        message: Option<String>,
        /// The exit code of the work, where it has one.
        exit_code: Option<i64>,
        /// Anything else worth keeping.
        result: Option<Value>,
    },
    /// The work was not done, or not to its end.
    Failure(Failure),
    /// The work goes on without this process: an agent that starts later finds it and tells its outcome. No ending is reported.
    Left {
        /// What was left, for people.
        message: String,
    },
    /// Nobody can tell. No ending is reported: the broker takes the attempt back as lost when its lease passes.
    Unknown {
        /// Why nobody can tell.
        message: String,
    },
}

/// An attempt that failed.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// Decides whether the order may be retried.
    pub class: FailureClass,
    /// What went wrong, for people.
    pub message: String,
    /// The exit code of the work, where it has one.
    pub exit_code: Option<i64>,
    /// Anything else worth keeping.
    pub result: Option<Value>,
}

impl Outcome {
    /// A failure that no exit status belongs to.
    pub fn failure(class: FailureClass, message: impl Into<String>) -> Self {
        Self::Failure(Failure {
            class,
            message: message.into(),
            exit_code: None,
            result: None,
        })
    }

    /// The same outcome, with a remark behind its message.
    #[must_use]
    pub fn with_remark(mut self, remark: &str) -> Self {
        match &mut self {
            Self::Success { message, .. } => {
                *message = Some(join(message.take().unwrap_or_default(), remark))
            }
            Self::Failure(Failure { message, .. }) | Self::Left { message } | Self::Unknown { message } => {
                *message = join(std::mem::take(message), remark)
            }
        }
        self
    }
}

fn join(message: String, remark: &str) -> String {
    if message.is_empty() {
        remark.to_owned()
    } else {
        format!("{message}; {remark}")
    }
}

/// The class of a failure that comes from being stopped. A lost lease and a stopping agent are no fault of the work.
pub fn class_of(reason: StopReason) -> FailureClass {
    match reason {
        StopReason::Cancelled => FailureClass::Cancelled,
        StopReason::Deadline => FailureClass::Deadline,
        StopReason::LeaseLost | StopReason::Shutdown | StopReason::Superseded => FailureClass::Infrastructure,
    }
}

/// What an attempt is given beside its claim.
#[derive(Debug)]
pub struct Context {
    /// Takes the output of the work.
    pub output: OutputSink,
    /// Says when the work has to stop. An executor never decides that by itself, except for the deadline.
    pub stop: StopSignal,
}

/// Why an executor cannot tell what it has.
#[derive(Debug, thiserror::Error)]
#[error("could not look for earlier work")]
pub struct LookupError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

impl LookupError {
    /// Whatever stood in the way.
    pub fn new(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(source.into())
    }
}

/// Does the work of one type.
#[async_trait]
pub trait Executor: Send + Sync {
    /// The type whose work it does.
    fn work_type(&self) -> &str;

    /// Whether work of this type can be done now, as far as the executor knows. Asked again and again, so it must be quick.
    ///
    /// # Errors
    /// Why it cannot, for people. Then none is claimed.
    async fn available(&self) -> Result<(), String> {
        Ok(())
    }

    /// Does the work from its beginning to its end. When told to stop it stops, then answers.
    async fn execute(&self, claim: &Claim, context: Context) -> Outcome;

    /// Whether work of this attempt, running or ended, is here and can be adopted. Work of an earlier attempt that was
    /// stopped says nothing about the order, so it does not count.
    async fn holds(&self, claim: &Claim, attempt: i64) -> Result<bool, LookupError>;

    /// Goes on with work of `attempt`, which [`holds`](Self::holds) found, on behalf of `claim`.
    async fn adopt(&self, claim: &Claim, attempt: i64, context: Context) -> Outcome;

    /// The broker has answered the ending of this attempt. Once it has been accepted nothing needs to be kept.
    async fn settled(&self, claim: &Claim, accepted: bool);

    /// Stops and removes work of orders that `agent` began and does not hold. Called once in a while.
    async fn tidy(&self, agent: Uuid, held: &BTreeSet<Uuid>);
}

/// The executors of an agent, by work type.
#[derive(Clone, Default)]
pub struct Executors(BTreeMap<String, Arc<dyn Executor>>);

impl Executors {
    /// The same with one more, which takes the place of an earlier one of its type.
    #[must_use]
    pub fn with(mut self, executor: impl Executor + 'static) -> Self {
        self.0.insert(executor.work_type().to_owned(), Arc::new(executor));
        self
    }

    /// The one for work of this type.
    pub fn get(&self, work_type: &str) -> Option<&Arc<dyn Executor>> {
        self.0.get(work_type)
    }

    /// Every type there is an executor for.
    pub fn work_types(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<dyn Executor>> {
        self.0.values()
    }
}

/// The name of the attempt that an order had under another number.
pub(crate) fn sibling(claim: &Claim, attempt: i64) -> AttemptId {
    AttemptId { attempt, ..claim.id }
}
