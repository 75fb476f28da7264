//! What the broker's answers say, noted where they are given, so that it counts whether or not anybody hears them.

use brokkr_agent::attempt::AttemptId;
use brokkr_api::{ClaimedWorkOrder, EndingsAnswer, EndingsRequest, Release, Renewals, WorkOrder, paths};
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::clock::since_began;
use crate::record::{Event, Record};

/// A request as it came to the broker.
#[derive(Debug)]
pub(crate) struct Sent {
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Sent {
    pub(crate) fn of(head: &Parts, body: &[u8]) -> Self {
        Self {
            method: head.method.clone(),
            path: head.uri.path().to_owned(),
            headers: head.headers.clone(),
            body: body.to_owned(),
        }
    }

    fn key(&self) -> Option<String> {
        let key = self.headers.get("idempotency-key")?;
        key.to_str().ok().map(str::to_owned)
    }
}

/// Notes what an answer says.
pub(crate) fn observe(record: &Record, host: &str, sent: &Sent, status: StatusCode, answer: &[u8]) {
    if sent.method != Method::POST {
        return;
    }
    let path = sent.path.as_str();
    if path == paths::WORK_ORDERS || path.ends_with("/retry") {
        if status == StatusCode::CREATED {
            created(record, sent, answer);
        }
    } else if path.ends_with("/claims") && status.is_success() {
        claimed(record, host, answer);
    } else if path.ends_with("/renewals") && status.is_success() {
        renewed(record, host, answer);
    } else if path.ends_with("/endings") && status.is_success() {
        reported(record, host, &sent.body, answer);
    } else if path.ends_with("/release") && status.is_success() {
        released(record, host, path, &sent.body);
    }
    if status.is_server_error() {
        let shown = path.rsplit('/').next().unwrap_or(path);
        record.note(format!("broker    answers {status} to {host} ({shown})"));
    }
}

fn created(record: &Record, sent: &Sent, answer: &[u8]) {
    if let Some(order) = read::<WorkOrder>(answer) {
        record.add(Event::Accepted {
            order: order.id,
            key: sent.key(),
        });
    }
}

fn claimed(record: &Record, host: &str, answer: &[u8]) {
    for claimed in read::<Vec<ClaimedWorkOrder>>(answer).unwrap_or_default() {
        let order = claimed.work_order;
        if let Some(until) = order.lease_expires_at {
            leased(record, host, (order.id, order.attempt), until);
        }
    }
}

fn renewed(record: &Record, host: &str, answer: &[u8]) {
    let answer = read::<Renewals>(answer).unwrap_or_default();
    for renewed in answer.renewed {
        leased(
            record,
            host,
            (renewed.id, renewed.attempt),
            renewed.lease_expires_at,
        );
    }
    for lost in answer.lost {
        let name = record.name_of(id(lost.id, lost.attempt));
        record.note(format!(
            "broker    tells {host} that {name} is lost ({})",
            lost.code
        ));
    }
    for cancel in answer.cancel {
        let name = record.name_of(id(cancel.id, cancel.attempt));
        record.note(format!("broker    tells {host} to stop {name}"));
    }
}

fn leased(record: &Record, host: &str, (order, attempt): (Uuid, i64), until: brokkr_api::Time) {
    record.add(Event::Leased {
        id: id(order, attempt),
        agent: host.to_owned(),
        until: since_began(until),
    });
}

fn reported(record: &Record, host: &str, sent: &[u8], answer: &[u8]) {
    let Some(sent) = read::<EndingsRequest>(sent) else {
        return;
    };
    let items = read::<EndingsAnswer>(answer).map_or_else(Vec::new, |answer| answer.items);
    for (report, item) in sent.endings.iter().zip(items) {
        record.add(Event::Reported {
            id: id(report.id, report.attempt),
            agent: host.to_owned(),
            success: report.success,
            status: item.status,
        });
    }
}

fn released(record: &Record, host: &str, path: &str, sent: &[u8]) {
    let order = path.rsplit('/').nth(1).and_then(|order| order.parse().ok());
    if let (Some(order), Some(release)) = (order, read::<Release>(sent)) {
        record.add(Event::Released {
            id: id(order, release.attempt),
            agent: host.to_owned(),
        });
    }
}

fn id(order: Uuid, attempt: i64) -> AttemptId {
    AttemptId { order, attempt }
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    serde_json::from_slice(bytes).ok()
}
