//! Orders to put into a queue.

use std::collections::BTreeMap;

use brokkr_broker::dal::attempts::Report;
use brokkr_broker::dal::endings::EndingOrder;
use brokkr_broker::dal::renewals::Renewal;
use brokkr_broker::dal::work_orders::{NewOrder, QueueStatus, QueuedOrder};
use brokkr_core::attempt::Attempt;
use brokkr_core::ids::{AgentId, WorkOrderId};
use brokkr_core::life::{AttemptEnding, Delivery, Ending, Policy};
use brokkr_core::limits::{ClaimTimeoutSeconds, LeaseSeconds, Priority};
use brokkr_core::names::{AnnotationKey, AnnotationValue, Label, WorkType};
use brokkr_core::retry::RetryOn;
use brokkr_core::routing::Targeting;
use uuid::Uuid;

use super::LEASE;
use crate::dal::samples::{agent_id, at};

/// Names an order by its number. The order of numbers is the order of age.
pub(in crate::dal) fn id(order: u64) -> WorkOrderId {
    WorkOrderId::new(Uuid::from_u128(u128::from(order)))
}

/// An order of type `command` for agent 1, with three retries, and five for what happens around the work.
pub(in crate::dal) fn order(number: u64) -> NewOrder {
    NewOrder {
        id: id(number),
        created_at: at(number),
        work_type: work_type("command"),
        yaml_content: format!("order: {number}"),
        priority: Priority::default(),
        policy: Policy {
            delivery: Delivery::AtLeastOnce,
            max_retries: 3,
            infrastructure_retries_max: 5,
            backoff_seconds: 60,
            backoff_jitter: false,
            start_by: None,
        },
        claim_timeout_seconds: ClaimTimeoutSeconds::default(),
        deadline_seconds: None,
        run_at: None,
        retry_on: RetryOn::default(),
        metadata: BTreeMap::new(),
        targeting: for_agents(&[1]),
        retry_of: None,
        submitted_by: "admin:abcdefgh".to_owned(),
        traceparent: None,
    }
}

pub(in crate::dal) fn for_agents(agents: &[u128]) -> Targeting {
    Targeting::new(
        agents.iter().map(|number| agent_id(*number)).collect(),
        vec![],
        vec![],
        9,
    )
    .unwrap()
}

pub(in crate::dal) fn for_label(word: &str) -> Targeting {
    Targeting::new(vec![], vec![label(word)], vec![], 9).unwrap()
}

pub(in crate::dal) fn for_annotation(key: &str, value: &str) -> Targeting {
    Targeting::new(vec![], vec![], vec![annotation(key, value)], 9).unwrap()
}

pub(in crate::dal) fn work_type(word: &str) -> WorkType {
    WorkType::parse(word).unwrap()
}

pub(in crate::dal) fn lease() -> LeaseSeconds {
    lease_seconds(LEASE)
}

pub(in crate::dal) fn lease_seconds(seconds: u64) -> LeaseSeconds {
    LeaseSeconds::new(i64::try_from(seconds).unwrap()).unwrap()
}

/// What an agent's process says of a claim that it wants to keep.
pub(in crate::dal) fn renewing(
    agent: AgentId,
    instance_id: &'static str,
    lease_seconds: LeaseSeconds,
) -> impl Fn(&(WorkOrderId, Attempt)) -> Renewal<'static> + Copy {
    move |(id, attempt)| Renewal {
        id: *id,
        attempt: *attempt,
        agent,
        instance_id,
        lease_seconds,
    }
}

/// The numbers of orders, in their order.
pub(in crate::dal) fn numbers<'a>(orders: impl IntoIterator<Item = &'a QueuedOrder>) -> Vec<u128> {
    orders
        .into_iter()
        .map(|order| order.id().as_uuid().as_u128())
        .collect()
}

/// The agent 1 claims at the time 10, for [`LEASE`].
pub(in crate::dal) fn agent() -> AgentId {
    agent_id(1)
}

pub(in crate::dal) fn label(word: &str) -> Label {
    Label::parse(word).unwrap()
}

pub(in crate::dal) fn annotation(key: &str, value: &str) -> (AnnotationKey, AnnotationValue) {
    (
        AnnotationKey::parse(key).unwrap(),
        AnnotationValue::parse(value).unwrap(),
    )
}

/// The order, with so many retries.
pub(in crate::dal) fn with_retries(max_retries: u32, mut order: NewOrder) -> NewOrder {
    order.policy.max_retries = max_retries;
    order
}

/// The order, to be started by the time `seconds`.
pub(in crate::dal) fn start_by(seconds: u64, mut order: NewOrder) -> NewOrder {
    order.policy.start_by = Some(at(seconds));
    order
}

/// The order `number`, to run at the time `seconds`.
pub(in crate::dal) fn run_at(seconds: u64, number: u64) -> NewOrder {
    NewOrder {
        run_at: Some(at(seconds)),
        ..order(number)
    }
}

/// Ends the order as one that is at this attempt: claimed, or PENDING when it is at none.
pub(in crate::dal) fn ending(order: u64, attempt: u32, ending: Ending) -> EndingOrder {
    let status = if attempt == 0 {
        QueueStatus::Pending
    } else {
        QueueStatus::Claimed
    };
    let held = attempt > 0;
    let attempt = Attempt::new(attempt.into());
    EndingOrder {
        id: id(order),
        status,
        attempt,
        ending,
        report: Report::default(),
        attempt_ending: held.then_some((AttemptEnding::Lost, None)),
    }
}
