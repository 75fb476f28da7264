//! Events: what has happened to orders and agents. They are written in the transaction of the change, after it.

mod horizon;
mod read;
mod tail;

use std::collections::{BTreeMap, HashMap};

use brokkr_core::attempt::Attempt;
use brokkr_core::events::{EventType, state_word};
use brokkr_core::ids::{AgentId, WorkOrderId};
use brokkr_core::life::{Event as Step, Life, State};
use brokkr_core::retry::FailureClass;
use brokkr_core::routing::Targeting;
use brokkr_core::time::Timestamp;
use serde_json::{Map, Value, json};

use super::App;
use super::audit::BROKER;
use super::caller::Caller;
use super::steps::Actor;
use crate::dal::events::{self, AgentEvent, OrderEvent};
use crate::dal::log::LogEntry;
use crate::dal::routes::Routed;
use crate::dal::work_orders::{NewOrder, OrderHead, QueueStatus, QueuedOrder, Removed, Retargeted};
use crate::dal::{DalError, Tx};

pub(super) use self::horizon::Horizon;
pub use self::read::{EventFilter, EventPage, Events, EventsError, Told};
pub(super) use self::tail::Tail;
pub use crate::dal::events::{Event, Position};

/// The state of what is not there any more.
pub(super) const DELETED: &str = "deleted";

/// What a report says of an attempt that may be told to everybody: neither words nor output of the work.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outcome {
    pub(super) class: Option<FailureClass>,
    pub(super) exit_code: Option<i64>,
}

/// A change of an agent by `caller`, of which the caller of this function tells the rest.
pub(super) fn agent_event(caller: &Caller, now: Timestamp, kind: EventType, id: AgentId) -> AgentEvent {
    AgentEvent {
        at: now,
        kind,
        id,
        actor: caller.actor(),
        before: None,
        after: None,
        label: None,
        details: "{}".to_owned(),
    }
}

/// The beginning of an order.
pub(super) fn created(actor: &str, order: &NewOrder, now: Timestamp) -> OrderEvent {
    let state = Life::begin(order.policy, order.created_at, order.run_at).state;
    let waits = matches!(state, State::Scheduled { .. });
    let mut details = details_of(order.work_type.as_str());
    tell(&mut details, "retry_of", order.retry_of.map(|id| id.to_string()));
    tell(
        &mut details,
        "run_at",
        order.run_at.filter(|_| waits).map(|at| at.to_string()),
    );
    OrderEvent {
        at: now,
        kind: if waits {
            EventType::WorkOrderScheduled
        } else {
            EventType::WorkOrderCreated
        },
        id: order.id,
        agent: None,
        actor: actor.to_owned(),
        before: None,
        after: state_word(state),
        attempt: Attempt::NONE,
        labels: labels(&order.targeting),
        details: Value::Object(details).to_string(),
    }
}

/// The labels that orders are for, as the statements answered that changed them.
pub(super) fn labels_of(
    entries: &[LogEntry],
    retried: &BTreeMap<WorkOrderId, Targeting>,
    reopened: &[Routed],
) -> HashMap<WorkOrderId, Vec<String>> {
    let ended = entries.iter().map(|entry| (entry.id, labels(&entry.targeting)));
    let retried = retried.iter().map(|(id, targeting)| (*id, labels(targeting)));
    let reopened = reopened.iter().map(|order| (order.id, labels_on(order)));
    ended.chain(retried).chain(reopened).collect()
}

/// The events with the labels of their orders.
pub(super) fn labelled(
    mut events: Vec<OrderEvent>,
    mut labels: HashMap<WorkOrderId, Vec<String>>,
) -> Vec<OrderEvent> {
    for event in &mut events {
        event.labels = labels.remove(&event.id).unwrap_or_default();
    }
    events
}

fn labels(targeting: &Targeting) -> Vec<String> {
    targeting
        .labels()
        .iter()
        .map(|label| label.as_str().to_owned())
        .collect()
}

fn labels_on(order: &Routed) -> Vec<String> {
    order
        .routes
        .iter()
        .filter_map(|route| route.as_label())
        .map(str::to_owned)
        .collect()
}

fn details_of(work_type: &str) -> Map<String, Value> {
    let mut details = Map::new();
    details.insert("work_type".to_owned(), work_type.into());
    details
}

fn tell(details: &mut Map<String, Value>, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        details.insert(name.to_owned(), value.into());
    }
}

impl App {
    /// The event of a step from `head` to `after`, without the labels, if it makes one.
    pub(super) fn stepped(
        &self,
        actor: Actor<'_>,
        now: Timestamp,
        head: &OrderHead,
        step: Step,
        after: Life,
        outcome: Outcome,
    ) -> Option<OrderEvent> {
        let kind = EventType::of_step(step, after.state)?;
        let mut details = details_of(head.work_type.as_str());
        details.insert("reason".to_owned(), step.name().into());
        tell(&mut details, "class", outcome.class.map(FailureClass::as_str));
        tell(&mut details, "exit_code", outcome.exit_code);
        if let State::RetryPending { not_before } = after.state {
            details.insert("not_before".to_owned(), not_before.to_string().into());
        }
        Some(OrderEvent {
            at: now,
            kind,
            id: head.id,
            agent: head.claim.as_ref().map(|claim| claim.agent),
            actor: actor.word(),
            before: Some(state_word(head.life().state)),
            after: state_word(after.state),
            attempt: after.attempt,
            labels: Vec::new(),
            details: Value::Object(details).to_string(),
        })
    }

    pub(super) async fn tell_claimed(
        &self,
        tx: &mut Tx,
        claimed: &[QueuedOrder],
        now: Timestamp,
    ) -> Result<(), DalError> {
        let told = |order: &QueuedOrder| {
            let claim = order.head.claim.as_ref()?;
            let mut details = details_of(order.head.work_type.as_str());
            details.insert(
                "lease_expires_at".to_owned(),
                claim.lease_expires_at.to_string().into(),
            );
            Some(OrderEvent {
                at: now,
                kind: EventType::WorkOrderClaimed,
                id: order.id(),
                agent: Some(claim.agent),
                actor: format!("agent:{}", claim.agent),
                before: Some(QueueStatus::Pending.as_str()),
                after: QueueStatus::Claimed.as_str(),
                attempt: order.head.attempt(),
                labels: labels(&order.targeting),
                details: Value::Object(details).to_string(),
            })
        };
        let events: Vec<_> = claimed.iter().filter_map(told).collect();
        events::insert(tx, &events).await
    }

    pub(super) async fn tell_due(
        &self,
        tx: &mut Tx,
        heads: &[OrderHead],
        reopened: &[Routed],
        now: Timestamp,
    ) -> Result<(), DalError> {
        let labels: HashMap<_, _> = reopened
            .iter()
            .map(|order| (order.id, labels_on(order)))
            .collect();
        let told = |head: &OrderHead| OrderEvent {
            at: now,
            kind: EventType::WorkOrderDue,
            id: head.id,
            agent: None,
            actor: BROKER.to_owned(),
            before: Some(head.status().as_str()),
            after: QueueStatus::Pending.as_str(),
            attempt: head.attempt(),
            labels: Vec::new(),
            details: Value::Object(details_of(head.work_type.as_str())).to_string(),
        };
        let events = heads
            .iter()
            .filter(|head| labels.contains_key(&head.id))
            .map(told)
            .collect();
        events::insert(tx, &labelled(events, labels)).await
    }

    pub(super) async fn tell_cancel_requested(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        orders: &[QueuedOrder],
        now: Timestamp,
    ) -> Result<(), DalError> {
        let told = |order: &QueuedOrder| OrderEvent {
            at: now,
            kind: EventType::WorkOrderCancelRequested,
            id: order.id(),
            agent: order.head.claim.as_ref().map(|claim| claim.agent),
            actor: caller.actor(),
            before: Some(order.head.status().as_str()),
            after: order.head.status().as_str(),
            attempt: order.head.attempt(),
            labels: labels(&order.targeting),
            details: Value::Object(details_of(order.head.work_type.as_str())).to_string(),
        };
        let events: Vec<_> = orders.iter().map(told).collect();
        events::insert(tx, &events).await
    }

    pub(super) async fn tell_retargeted(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        id: WorkOrderId,
        retargeted: &Retargeted,
        targeting: &Targeting,
        now: Timestamp,
    ) -> Result<(), DalError> {
        let routes: Vec<_> = targeting.routes().iter().map(ToString::to_string).collect();
        let event = OrderEvent {
            at: now,
            kind: EventType::WorkOrderRetargeted,
            id,
            agent: None,
            actor: caller.actor(),
            before: Some(retargeted.status.as_str()),
            after: retargeted.status.as_str(),
            attempt: retargeted.attempt,
            labels: labels(targeting),
            details: json!({"routes": routes}).to_string(),
        };
        events::insert(tx, &[event]).await
    }

    pub(super) async fn tell_deleted(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        id: WorkOrderId,
        removed: &Removed,
        now: Timestamp,
    ) -> Result<(), DalError> {
        let event = OrderEvent {
            at: now,
            kind: EventType::WorkOrderDeleted,
            id,
            agent: removed.claimed_by,
            actor: caller.actor(),
            before: Some(removed.status.as_str()),
            after: DELETED,
            attempt: removed.attempt,
            labels: labels(&removed.targeting),
            details: Value::Object(details_of(removed.work_type.as_str())).to_string(),
        };
        events::insert(tx, &[event]).await
    }

    /// That new processes act for these agents.
    pub(super) async fn tell_taken_over(
        &self,
        tx: &mut Tx,
        agents: &[AgentId],
        now: Timestamp,
    ) -> Result<(), DalError> {
        let told = |id: &AgentId| AgentEvent {
            at: now,
            kind: EventType::AgentInstanceChanged,
            id: *id,
            actor: format!("agent:{id}"),
            before: None,
            after: None,
            label: None,
            details: "{}".to_owned(),
        };
        let events: Vec<_> = agents.iter().map(told).collect();
        events::insert_of_agents(tx, &events).await
    }
}
