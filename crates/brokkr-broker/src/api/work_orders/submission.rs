//! From what was sent to what somebody wants done.

use brokkr_api::{
    CreateWorkOrder, Delivery as WireDelivery, FailureClass as WireClass, TargetingRequest, Time,
};
use brokkr_core::ids::AgentId;
use brokkr_core::life::Delivery;
use brokkr_core::limits::{
    BackoffSeconds, ClaimTimeoutSeconds, DeadlineSeconds, InfrastructureRetriesMax, MaxRetries, OutOfBounds,
    Priority, StartBySeconds,
};
use brokkr_core::names::{AnnotationKey, AnnotationValue, Label, NameError, WorkType};
use brokkr_core::retry::{FailureClass, RetryOn};
use brokkr_core::routing::{Targeting, TargetingError};
use brokkr_core::time::Timestamp;
use serde_json::json;
use uuid::Uuid;

use crate::api::problem::{Code, Problem, sentence};
use crate::app::idempotency::IdempotencyError;
use crate::app::work_orders::{CreateError, StartBy, Submission};
use crate::config::Limits;

/// Checks every part of a submission. That it is for nobody is said before anything else.
pub(crate) fn submission(request: CreateWorkOrder, limits: &Limits) -> Result<Submission, Problem> {
    let targeting = targeting(
        request.targeting.unwrap_or_default(),
        request.target_agent_ids,
        limits,
    )?;
    Ok(Submission {
        targeting,
        work_type: WorkType::parse(request.work_type).map_err(name)?,
        yaml_content: request.yaml_content,
        max_retries: bounded(request.max_retries, MaxRetries::new)?,
        infrastructure_retries_max: bounded(
            request.infrastructure_retries_max,
            InfrastructureRetriesMax::new,
        )?,
        backoff_seconds: request
            .backoff_seconds
            .map(BackoffSeconds::new)
            .transpose()
            .map_err(bounds)?,
        claim_timeout_seconds: bounded(request.claim_timeout_seconds, ClaimTimeoutSeconds::new)?,
        priority: bounded(request.priority, Priority::new)?,
        deadline_seconds: request
            .deadline_seconds
            .map(DeadlineSeconds::new)
            .transpose()
            .map_err(bounds)?,
        start_by: start_by(request.start_by, request.start_by_seconds)?,
        run_at: request.run_at.map(|time| timestamp("run_at", time)).transpose()?,
        delivery: delivery(request.delivery.unwrap_or_default()),
        retry_on: retry_on(request.retry_on)?,
        metadata: request.metadata.unwrap_or_default(),
    })
}

/// Whom an order is to be for. `more` are agents that an older client names beside the targeting.
pub(crate) fn targeting(
    request: TargetingRequest,
    more: Option<Vec<Uuid>>,
    limits: &Limits,
) -> Result<Targeting, Problem> {
    let agents: Vec<_> = request
        .agent_ids
        .into_iter()
        .chain(more)
        .flatten()
        .map(AgentId::new)
        .collect();
    let (labels, annotations) = (
        request.labels.unwrap_or_default(),
        request.annotations.unwrap_or_default(),
    );
    if agents.is_empty() && labels.is_empty() && annotations.is_empty() {
        return Err(refused(TargetingError::Empty));
    }
    let labels = labels
        .into_iter()
        .map(Label::parse)
        .collect::<Result<_, _>>()
        .map_err(name)?;
    let annotations = annotations
        .into_iter()
        .map(|(key, value)| Ok((AnnotationKey::parse(key)?, AnnotationValue::parse(value)?)))
        .collect::<Result<_, _>>()
        .map_err(name)?;
    Targeting::new(agents, labels, annotations, limits.targeting_terms_max).map_err(refused)
}

fn refused(error: TargetingError) -> Problem {
    let code = match error {
        TargetingError::Empty => Code::NoTargetingSpecified,
        TargetingError::AgentTwice(_) | TargetingError::LabelTwice(_) => Code::UniqueViolation,
        TargetingError::TooMany { .. } => Code::InvalidWorkOrder,
    };
    Problem::new(code, sentence(&error))
}

fn name(error: NameError) -> Problem {
    Problem::invalid_name(Code::InvalidWorkOrder, &error)
}

fn bounds(error: OutOfBounds) -> Problem {
    Problem::out_of_bounds(Code::InvalidWorkOrder, &error)
}

fn bounded<T: Default>(
    value: Option<i64>,
    parse: impl Fn(i64) -> Result<T, OutOfBounds>,
) -> Result<T, Problem> {
    value.map_or_else(|| Ok(T::default()), parse).map_err(bounds)
}

/// A time that every part of Brokkr can store. The wire reaches back further.
fn timestamp(field: &'static str, time: Time) -> Result<Timestamp, Problem> {
    if time.as_micros() < 0 {
        let problem = Problem::new(
            Code::InvalidWorkOrder,
            format!("{field} must not be before 1970."),
        );
        return Err(problem.with_details(json!({"field": field})));
    }
    Ok(Timestamp::from_micros(time.as_micros()))
}

fn start_by(time: Option<Time>, seconds: Option<i64>) -> Result<Option<StartBy>, Problem> {
    match (time, seconds) {
        (None, None) => Ok(None),
        (Some(time), None) => Ok(Some(StartBy::At(timestamp("start_by", time)?))),
        (None, Some(seconds)) => StartBySeconds::new(seconds)
            .map(|seconds| Some(StartBy::Within(seconds)))
            .map_err(bounds),
        (Some(_), Some(_)) => {
            let rule = "start_by and start_by_seconds cannot both be given.";
            let problem = Problem::new(Code::InvalidWorkOrder, rule.to_owned());
            Err(problem.with_details(json!({"field": "start_by_seconds"})))
        }
    }
}

const fn delivery(delivery: WireDelivery) -> Delivery {
    match delivery {
        WireDelivery::AtLeastOnce => Delivery::AtLeastOnce,
        WireDelivery::AtMostOnce => Delivery::AtMostOnce,
    }
}

fn retry_on(classes: Option<Vec<WireClass>>) -> Result<RetryOn, Problem> {
    let Some(classes) = classes else {
        return Ok(RetryOn::default());
    };
    RetryOn::new(classes.into_iter().map(class)).map_err(|error| {
        Problem::new(Code::InvalidWorkOrder, sentence(&error)).with_details(json!({"field": "retry_on"}))
    })
}

/// The class of a failure as the core knows it.
pub(in crate::api) const fn class(class: WireClass) -> FailureClass {
    match class {
        WireClass::Infrastructure => FailureClass::Infrastructure,
        WireClass::Work => FailureClass::Work,
        WireClass::Refused => FailureClass::Refused,
        WireClass::Deadline => FailureClass::Deadline,
        WireClass::Cancelled => FailureClass::Cancelled,
    }
}

impl From<CreateError> for Problem {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::Yaml(error) => Self::yaml(&error),
            CreateError::UnknownAgent(agent) => unknown_agent(agent, &error),
            CreateError::Metadata(_) | CreateError::NeverStarts(_) => {
                Self::new(Code::InvalidWorkOrder, sentence(&error))
            }
            CreateError::Idempotency(error) => error.into(),
            CreateError::Storage(error) => Self::storage(&error),
        }
    }
}

impl From<IdempotencyError> for Problem {
    fn from(error: IdempotencyError) -> Self {
        match error {
            IdempotencyError::Reused => Self::new(
                Code::IdempotencyKeyReused,
                "This Idempotency-Key was used for another request.",
            ),
            IdempotencyError::Storage(error) => Self::storage(&error),
        }
    }
}

pub(super) fn unknown_agent(agent: AgentId, error: &dyn std::error::Error) -> Problem {
    Problem::new(Code::ForeignKeyViolation, sentence(error))
        .with_details(json!({"agent_id": agent.as_uuid()}))
}

impl Problem {
    fn yaml(error: &crate::app::yaml::YamlError) -> Self {
        use crate::app::yaml::YamlError;
        let problem = Self::new(Code::InvalidWorkOrder, sentence(error));
        match error {
            YamlError::Syntax { line, column, .. } => {
                problem.with_details(json!({"field": "yaml_content", "line": line, "column": column}))
            }
            _ => problem.with_details(json!({"field": "yaml_content"})),
        }
    }
}
