//! A broker that does as it is told and remembers everything it was asked.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use brokkr_agent::attempt::AttemptId;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::timeout;
use uuid::Uuid;

/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the broker knows, was asked, and shall answer.
#[derive(Default)]
pub(crate) struct World {
    submitted: u128,
    /// What the next claims give out.
    pub(crate) waiting: VecDeque<Value>,
    /// What an agent holds.
    pub(crate) held: BTreeMap<AttemptId, Value>,
    pub(crate) claim_requests: Vec<Value>,
    pub(crate) renewal_requests: Vec<Value>,
    /// What was told of the agent's cluster.
    pub(crate) cluster_reports: Vec<Value>,
    /// Accepted endings.
    pub(crate) endings: Vec<Value>,
    /// Every report, accepted or not.
    pub(crate) ending_reports: usize,
    pub(crate) releases: Vec<Value>,
    pub(crate) chunks: BTreeMap<(AttemptId, i64), Value>,

    /// Heard by the agent with its next renewal.
    pub(crate) cancel: Vec<AttemptId>,
    /// Taken back from the agent.
    pub(crate) lost: Vec<AttemptId>,
    pub(crate) renewals_fail: bool,
    /// It is an older one, to which reports are unknown.
    pub(crate) knows_no_reports: bool,
    pub(crate) endings_fail: bool,
    pub(crate) superseded: bool,
    /// Bytes of output that are taken of one attempt.
    pub(crate) output_limit: Option<usize>,
}

impl World {
    /// The output of one stream as text, which has to be without holes and overlaps over all streams.
    pub(crate) fn output(&self, id: AttemptId, stream: &str) -> String {
        let mut next = 0;
        let mut text = String::new();
        for ((_, offset), chunk) in self.chunks.range((id, 0)..=(id, i64::MAX)) {
            assert_eq!(*offset, next, "a hole or an overlap in the output");
            let data = chunk["data"].as_str().unwrap();
            next += data.len() as i64;
            if chunk["stream"] == stream {
                text += data;
            }
        }
        text
    }

    pub(crate) fn ending_of(&self, id: AttemptId) -> Option<&Value> {
        self.endings.iter().find(|ending| attempt_id(ending) == id)
    }
}

#[derive(Clone)]
pub(crate) struct FakeBroker {
    pub(crate) agent: Uuid,
    pub(crate) url: String,
    world: Arc<Mutex<World>>,
    changed: watch::Sender<()>,
}

impl FakeBroker {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let agent = Uuid::from_u128(0xA6E7);
        let broker = Self {
            agent,
            url,
            world: Arc::default(),
            changed: watch::Sender::new(()),
        };
        let router = Router::new()
            .route("/api/v1/auth/pak", post(whoami))
            .route("/api/v1/agents/{id}/claims", get(held_claims).post(claim))
            .route("/api/v1/agents/{id}/renewals", post(renew))
            .route("/api/v1/agents/{id}/heartbeat", post(heartbeat))
            .route("/api/v1/agents/{id}/endings", post(end))
            .route("/api/v1/agents/{id}/output", post(append_output))
            .route("/api/v1/work-orders/{id}/release", post(release))
            .with_state(broker.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        broker
    }

    /// Changes what the broker knows or answers.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        let result = change(&mut self.world.lock().unwrap());
        self.changed.send_replace(());
        result
    }

    /// Looks at what the broker knows.
    pub(crate) fn see<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        look(&self.world.lock().unwrap())
    }

    /// Submits a command and answers its first attempt.
    pub(crate) fn submit(&self, spec: &str) -> AttemptId {
        self.submit_with(spec, &json!({}))
    }

    /// Submits a command whose order is not like the others.
    pub(crate) fn submit_with(&self, spec: &str, members: &Value) -> AttemptId {
        self.change(|world| {
            world.submitted += 1;
            let id = AttemptId {
                order: Uuid::from_u128(world.submitted),
                attempt: 1,
            };
            let mut order = work_order(id, &document(spec), &[]);
            order
                .as_object_mut()
                .unwrap()
                .extend(members.as_object().unwrap().clone());
            world.waiting.push_back(order);
            id
        })
    }

    /// Waits until the broker knows something.
    pub(crate) async fn until<T>(&self, what: &str, mut look: impl FnMut(&World) -> Option<T>) -> T {
        let mut changed = self.changed.subscribe();
        let waiting = async {
            loop {
                if let Some(found) = self.see(&mut look) {
                    return found;
                }
                changed.changed().await.unwrap();
            }
        };
        timeout(PATIENCE, waiting)
            .await
            .unwrap_or_else(|_| panic!("waited in vain for {what}"))
    }

    /// Waits until the agent has told this state.
    pub(crate) async fn told(&self, state: &str) {
        self.until(state, |world| {
            let last = world.renewal_requests.last()?;
            (last["state"] == state).then_some(())
        })
        .await;
    }

    pub(crate) async fn ending(&self, id: AttemptId) -> Value {
        self.until("an ending", |world| world.ending_of(id).cloned())
            .await
    }

    /// Waits until the output of an attempt contains a text.
    pub(crate) async fn printed(&self, id: AttemptId, text: &str) {
        self.until(text, |world| {
            world.output(id, "stdout").contains(text).then_some(())
        })
        .await;
    }
}

pub(crate) fn document(spec: &str) -> String {
    format!("apiVersion: brokkr.io/v1\nkind: Command\nspec: {spec}\n")
}

/// The trace of every order's submission.
pub(crate) const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// An order as a claim gives it out.
pub(crate) fn work_order(id: AttemptId, document: &str, lost_attempts: &[i64]) -> Value {
    let at = "2026-01-01T00:00:00.000000Z";
    json!({
        "id": id.order, "created_at": at, "updated_at": at, "work_type": "command", "yaml_content": document,
        "status": "CLAIMED", "claimed_by": null, "claimed_at": at, "claim_timeout_seconds": 3600, "max_retries": 3,
        "retry_count": 0, "backoff_seconds": 1, "next_retry_after": null, "last_error": null, "last_error_at": null,
        "attempt": id.attempt, "lease_expires_at": at, "lost_count": 0, "cancel_requested_at": null, "priority": 0,
        "deadline_seconds": null, "start_by": null, "run_at": null, "delivery": "at_least_once",
        "targeting": {"agent_ids": [], "labels": [], "annotations": {}}, "metadata": {}, "retry_of": null,
        "submitted_by": "admin:test", "lost_attempts": lost_attempts,
        "instance_id": "test-instance", "traceparent": TRACEPARENT,
    })
}

pub(crate) fn attempt_id(item: &Value) -> AttemptId {
    AttemptId {
        order: item["id"].as_str().unwrap().parse().unwrap(),
        attempt: item["attempt"].as_i64().unwrap(),
    }
}

fn problem(status: StatusCode, code: &str) -> Response {
    (
        status,
        Json(json!({"code": code, "message": "as the test wants it"})),
    )
        .into_response()
}

async fn whoami(State(broker): State<FakeBroker>) -> Json<Value> {
    Json(json!({"admin": false, "agent": broker.agent, "generator": null, "readonly": false}))
}

async fn held_claims(State(broker): State<FakeBroker>) -> Json<Value> {
    Json(broker.see(|world| world.held.values().cloned().collect()))
}

async fn claim(State(broker): State<FakeBroker>, Json(request): Json<Value>) -> Response {
    let wait = Duration::from_secs(request["wait_seconds"].as_u64().unwrap());
    let max = request["max"].as_u64().unwrap() as usize;
    let work_types = request["work_types"].as_array().unwrap().clone();
    if broker.change(|world| {
        world.claim_requests.push(request);
        world.superseded
    }) {
        return problem(StatusCode::CONFLICT, "superseded_instance");
    }
    let mut changed = broker.changed.subscribe();
    let given = timeout(wait, async {
        loop {
            let given = take(&broker, max, &work_types);
            if !given.is_empty() {
                return given;
            }
            changed.changed().await.unwrap();
        }
    });
    Json(given.await.unwrap_or_default()).into_response()
}

fn take(broker: &FakeBroker, max: usize, work_types: &[Value]) -> Vec<Value> {
    let mut world = broker.world.lock().unwrap();
    let mut given = Vec::new();
    let mut left = VecDeque::new();
    for order in std::mem::take(&mut world.waiting) {
        if given.len() < max && work_types.contains(&order["work_type"]) {
            given.push(order);
        } else {
            left.push_back(order);
        }
    }
    world.waiting = left;
    for order in &given {
        world.held.insert(attempt_id(order), order.clone());
    }
    if !given.is_empty() {
        broker.changed.send_replace(());
    }
    given
}

async fn renew(State(broker): State<FakeBroker>, Json(request): Json<Value>) -> Response {
    broker.change(|world| {
        world.renewal_requests.push(request.clone());
        if world.renewals_fail {
            return problem(StatusCode::SERVICE_UNAVAILABLE, "unavailable");
        }
        if world.superseded {
            return problem(StatusCode::CONFLICT, "superseded_instance");
        }
        if world.knows_no_reports && request.get("report").is_some() {
            return problem(StatusCode::UNPROCESSABLE_ENTITY, "invalid_body");
        }
        let claims = request["claims"].as_array().unwrap();
        let (held, lost): (Vec<_>, Vec<_>) =
            claims.iter().map(attempt_id).partition(|id| world.held.contains_key(id) && !world.lost.contains(id));
        let cancel: Vec<_> = held.iter().filter(|id| world.cancel.contains(id)).collect();
        Json(json!({
            "renewed": held.iter().map(|id| json!({"id": id.order, "attempt": id.attempt, "lease_expires_at": "2026-01-01T00:00:00.000000Z"})).collect::<Vec<_>>(),
            "lost": lost.iter().map(|id| json!({"id": id.order, "attempt": id.attempt, "code": "stale_attempt"})).collect::<Vec<_>>(),
            "cancel": cancel.iter().map(|id| json!({"id": id.order, "attempt": id.attempt, "reason": null})).collect::<Vec<_>>(),
        }))
        .into_response()
    })
}

async fn heartbeat(State(broker): State<FakeBroker>, Json(report): Json<Value>) -> StatusCode {
    broker.change(|world| world.cluster_reports.push(report));
    StatusCode::NO_CONTENT
}

async fn end(State(broker): State<FakeBroker>, Json(request): Json<Value>) -> Response {
    broker.change(|world| {
        world.ending_reports += 1;
        if world.endings_fail {
            return problem(StatusCode::SERVICE_UNAVAILABLE, "unavailable");
        }
        let items: Vec<_> = request["endings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|ending| end_one(world, ending))
            .collect();
        Json(json!({ "items": items })).into_response()
    })
}

fn end_one(world: &mut World, ending: &Value) -> Value {
    let id = attempt_id(ending);
    let lost = world.lost.contains(&id);
    match world.held.remove(&id) {
        Some(_) if !lost => {
            world.endings.push(ending.clone());
            json!({"id": id.order, "attempt": id.attempt, "status": 202, "retry": {"status": "retry_scheduled"}})
        }
        _ => json!({
            "id": id.order, "attempt": id.attempt, "status": 409,
            "error": {"code": "stale_attempt", "message": "as the test wants it"},
        }),
    }
}

async fn append_output(State(broker): State<FakeBroker>, Json(request): Json<Value>) -> Json<Value> {
    broker.change(|world| {
        let chunks = request["chunks"].as_array().unwrap();
        let items: Vec<_> = chunks.iter().map(|chunk| append_one(world, chunk)).collect();
        Json(json!({ "items": items }))
    })
}

fn append_one(world: &mut World, chunk: &Value) -> Value {
    let id = attempt_id(chunk);
    let offset = chunk["offset"].as_i64().unwrap();
    let end = offset as usize + chunk["data"].as_str().unwrap().len();
    let item = json!({"id": id.order, "attempt": id.attempt, "offset": offset});
    let refusal = match () {
        () if world.lost.contains(&id) => Some((409, "stale_attempt")),
        () if world.output_limit.is_some_and(|limit| end > limit) => Some((413, "output_limit")),
        () => None,
    };
    let (status, error) = match refusal {
        Some((status, code)) => (status, json!({"code": code, "message": "as the test wants it"})),
        None => {
            keep(world, id, chunk);
            (200, Value::Null)
        }
    };
    let mut item = item;
    item["status"] = json!(status);
    if !error.is_null() {
        item["error"] = error;
    }
    item
}

/// Keeps what is new of a chunk, as a broker does: what it has already must be the same text, however it was cut.
fn keep(world: &mut World, id: AttemptId, chunk: &Value) {
    let (offset, data) = (
        chunk["offset"].as_u64().unwrap() as usize,
        chunk["data"].as_str().unwrap(),
    );
    let known = world.chunks.range((id, 0)..=(id, i64::MAX));
    let known: String = known.map(|(_, chunk)| chunk["data"].as_str().unwrap()).collect();
    let again = known.len().saturating_sub(offset).min(data.len());
    assert_eq!(
        known.get(offset..offset + again).unwrap_or_default(),
        &data[..again],
        "another text at the same offset"
    );
    if again < data.len() {
        let mut chunk = chunk.clone();
        chunk["offset"] = json!(offset + again);
        chunk["data"] = json!(data[again..]);
        world.chunks.insert((id, (offset + again) as i64), chunk);
    }
}

async fn release(
    State(broker): State<FakeBroker>,
    Path(id): Path<Uuid>,
    Json(request): Json<Value>,
) -> Json<Value> {
    broker.change(|world| {
        let id = AttemptId {
            order: id,
            attempt: request["attempt"].as_i64().unwrap(),
        };
        let order = world.held.remove(&id).unwrap_or_else(|| work_order(id, "", &[]));
        world
            .releases
            .push(json!({"id": id.order, "attempt": id.attempt, "agent_id": request["agent_id"]}));
        Json(order)
    })
}
