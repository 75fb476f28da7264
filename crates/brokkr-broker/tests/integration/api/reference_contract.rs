//! The life of a work order as a client of the reference knows it: plain HTTP, exact shapes, nothing of what we add.

mod refusals;

use std::collections::BTreeSet;
use std::time::Duration;

use brokkr_api::PakText;
use brokkr_testkit::{Backend, TestBroker};
use rstest::rstest;
use serde_json::{Value, json};

use super::call::{get, post, put, refusal, refused};

/// The members that the reference's client reads; all of them are always there.
const WORK_ORDER: &[&str] = &[
    "id",
    "created_at",
    "updated_at",
    "work_type",
    "yaml_content",
    "status",
    "claimed_by",
    "claimed_at",
    "claim_timeout_seconds",
    "max_retries",
    "retry_count",
    "backoff_seconds",
    "next_retry_after",
    "last_error",
    "last_error_at",
];
const WORK_ORDER_LOG: &[&str] = &[
    "id",
    "work_type",
    "created_at",
    "claimed_at",
    "completed_at",
    "claimed_by",
    "success",
    "retries_attempted",
    "result_message",
    "yaml_content",
];

fn has_members(value: &Value, members: &[&str]) {
    let found: BTreeSet<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
    let missing: Vec<_> = members.iter().filter(|name| !found.contains(**name)).collect();
    assert!(missing.is_empty(), "{missing:?} missing in {value}");
}

/// An agent as the reference's client makes one: created, then activated by a PUT.
async fn agent(broker: &TestBroker, name: &str) -> (String, PakText) {
    let body = json!({"name": name, "cluster_name": "cluster"});
    let created = post(broker, broker.admin_pak(), "/api/v1/agents", body).await;
    assert_eq!(created.status, 201);
    let created = created.json();
    let id = created["agent"]["id"].as_str().unwrap().to_owned();
    let active = put(
        broker,
        broker.admin_pak(),
        &format!("/api/v1/agents/{id}"),
        json!({"status": "ACTIVE"}),
    )
    .await;
    assert_eq!((active.status, &active.json()["status"]), (200, &json!("ACTIVE")));
    (id, PakText::new(created["initial_pak"].as_str().unwrap()))
}

async fn submit(broker: &TestBroker, body: Value) -> String {
    let created = post(broker, broker.admin_pak(), "/api/v1/work-orders", body).await;
    assert_eq!(created.status, 201, "{}", created.text);
    has_members(&created.json(), WORK_ORDER);
    created.json()["id"].as_str().unwrap().to_owned()
}

#[rstest]
#[tokio::test]
async fn an_order_is_submitted_seen_claimed_and_completed(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let admin = broker.admin_pak();
    let (agent, pak) = agent(&broker, "runner").await;
    let id = submit(
        &broker,
        json!({"work_type": "custom", "yaml_content": "kind: Job", "targeting": {"agent_ids": [agent]}}),
    )
    .await;

    let pending = get(
        &broker,
        &pak,
        &format!("/api/v1/agents/{agent}/work-orders/pending"),
    )
    .await
    .json();
    assert_eq!(pending.as_array().unwrap().len(), 1);
    has_members(&pending[0], WORK_ORDER);
    assert_eq!(
        (&pending[0]["id"], &pending[0]["status"]),
        (&json!(id), &json!("PENDING"))
    );
    for absent in [
        "claimed_by",
        "claimed_at",
        "next_retry_after",
        "last_error",
        "last_error_at",
    ] {
        assert_eq!(pending[0][absent], Value::Null, "{absent}");
    }
    let order = format!("/api/v1/work-orders/{id}");
    let claimed = post(
        &broker,
        &pak,
        &format!("{order}/claim"),
        json!({"agent_id": agent}),
    )
    .await;
    assert_eq!(
        (claimed.status, &claimed.json()["claimed_by"]),
        (200, &json!(agent))
    );
    has_members(&claimed.json(), WORK_ORDER);
    let taken = post(
        &broker,
        &pak,
        &format!("{order}/claim"),
        json!({"agent_id": agent}),
    )
    .await;
    assert_eq!(refusal(&taken), refused(404, "work_order_not_claimable"));
    let listed = get(
        &broker,
        admin,
        "/api/v1/work-orders?status=CLAIMED&work_type=custom",
    )
    .await
    .json();
    assert_eq!(listed[0]["id"], json!(id));

    let done = post(
        &broker,
        &pak,
        &format!("{order}/complete"),
        json!({"success": true, "message": "ok"}),
    )
    .await;
    assert_eq!(done.status, 200);
    let entry = done.json();
    has_members(&entry, WORK_ORDER_LOG);
    assert_eq!(
        (&entry["id"], &entry["success"], &entry["result_message"]),
        (&json!(id), &json!(true), &json!("ok"))
    );
    assert_eq!(
        (&entry["retries_attempted"], &entry["claimed_by"]),
        (&json!(0), &json!(agent))
    );
    assert_eq!(
        get(&broker, admin, &format!("/api/v1/work-order-log/{id}"))
            .await
            .json(),
        entry
    );
    let log = get(
        &broker,
        admin,
        &format!("/api/v1/work-order-log?success=true&agent_id={agent}&limit=1"),
    )
    .await;
    assert_eq!(log.json(), json!([entry]));
    let shown = get(&broker, admin, &order).await.json();
    has_members(&shown, WORK_ORDER);
    assert_eq!(shown["status"], "COMPLETED");
    assert_eq!(get(&broker, admin, "/api/v1/work-orders").await.json(), json!([]));
}

#[rstest]
#[tokio::test]
async fn a_failure_is_retried_as_the_reference_does_it(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let (agent, pak) = agent(&broker, "runner").await;
    let id = submit(
        &broker,
        json!({"work_type": "build", "yaml_content": "a: 1", "max_retries": 1, "backoff_seconds": 2, "claim_timeout_seconds": 600,
            "target_agent_ids": [agent]}),
    )
    .await;
    let order = format!("/api/v1/work-orders/{id}");
    let claim = async || {
        post(
            &broker,
            &pak,
            &format!("{order}/claim"),
            json!({"agent_id": agent}),
        )
        .await
        .status
    };
    let fail = async || {
        post(
            &broker,
            &pak,
            &format!("{order}/complete"),
            json!({"success": false, "message": "boom"}),
        )
        .await
    };

    assert_eq!(claim().await, 200);
    let failed = fail().await;
    assert_eq!(
        (failed.status, failed.json()),
        (202, json!({"status": "retry_scheduled"}))
    );
    let waiting = get(&broker, broker.admin_pak(), &order).await.json();
    assert_eq!(
        (&waiting["status"], &waiting["retry_count"]),
        (&json!("RETRY_PENDING"), &json!(1))
    );
    assert_eq!(
        (&waiting["last_error"], &waiting["claimed_by"]),
        (&json!("boom"), &Value::Null)
    );
    assert_eq!(
        waiting["next_retry_after"],
        json!(broker.now().plus_seconds(4).to_string())
    );
    assert_eq!(claim().await, 404);
    broker.advance(Duration::from_secs(4)).await;
    let due = get(&broker, broker.admin_pak(), &order).await.json();
    assert_eq!(
        (&due["status"], &due["next_retry_after"], &due["last_error"]),
        (&json!("PENDING"), &Value::Null, &json!("boom"))
    );

    assert_eq!(claim().await, 200);
    let last = fail().await;
    assert_eq!(last.status, 200);
    let entry = last.json();
    assert_eq!(
        (&entry["success"], &entry["retries_attempted"]),
        (&json!(false), &json!(1))
    );
    assert_eq!(
        get(&broker, broker.admin_pak(), &order).await.json()["status"],
        "FAILED"
    );
}

#[rstest]
#[tokio::test]
async fn a_claim_that_timed_out_is_taken_back_with_its_counts_unchanged(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let (agent, pak) = agent(&broker, "runner").await;
    let id = submit(
        &broker,
        json!({"work_type": "custom", "yaml_content": "a: 1", "claim_timeout_seconds": 2, "targeting": {"agent_ids": [agent]}}),
    )
    .await;
    let order = format!("/api/v1/work-orders/{id}");
    post(
        &broker,
        &pak,
        &format!("{order}/claim"),
        json!({"agent_id": agent}),
    )
    .await;
    broker.advance(Duration::from_secs(2)).await;
    let back = get(&broker, broker.admin_pak(), &order).await.json();
    assert_eq!(
        (&back["status"], &back["retry_count"], &back["last_error"]),
        (&json!("PENDING"), &json!(0), &Value::Null)
    );
    let late = post(
        &broker,
        &pak,
        &format!("{order}/complete"),
        json!({"success": true}),
    )
    .await;
    assert_eq!(refusal(&late), refused(403, "work_order_not_claimed_by_agent"));
    let late = post(
        &broker,
        &pak,
        &format!("{order}/complete"),
        json!({"success": true, "attempt": 1}),
    )
    .await;
    assert_eq!(refusal(&late), refused(409, "stale_attempt"));
    assert_eq!(
        super::call::delete(&broker, broker.admin_pak(), &order)
            .await
            .status,
        204
    );
    assert_eq!(
        super::call::delete(&broker, broker.admin_pak(), &order)
            .await
            .status,
        404
    );
}

/// What we add to the reference's views. Nothing else is in them.
const WORK_ORDER_OURS: &[&str] = &[
    "attempt",
    "lease_expires_at",
    "lost_count",
    "cancel_requested_at",
    "priority",
    "deadline_seconds",
    "start_by",
    "run_at",
    "delivery",
    "targeting",
    "metadata",
    "retry_of",
    "submitted_by",
    "infrastructure_retries_max",
    "infrastructure_retry_count",
    "backoff_jitter",
];
const WORK_ORDER_LOG_OURS: &[&str] = &[
    "ending",
    "attempt",
    "class",
    "exit_code",
    "result",
    "lost_count",
    "retry_of",
    "infrastructure_retries_attempted",
];
const AGENT: &[&str] = &[
    "id",
    "created_at",
    "updated_at",
    "deleted_at",
    "name",
    "cluster_name",
    "last_heartbeat",
    "status",
    "k8s_reachable",
    "k8s_api_latency_ms",
    "k8s_reported_at",
];
const AGENT_OURS: &[&str] = &["state", "report", "reported_at"];

fn has_exactly(value: &Value, members: &[&[&str]]) {
    let found: BTreeSet<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(found, members.concat().into_iter().collect(), "{value}");
}

#[rstest]
#[tokio::test]
async fn every_view_has_exactly_its_members_whatever_is_null(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let admin = broker.admin_pak();
    let (agent, pak) = agent(&broker, "runner").await;
    let order = json!({"work_type": "custom", "yaml_content": "a: 1", "target_agent_ids": [agent]});
    let path = format!("/api/v1/work-orders/{}", submit(&broker, order).await);
    let queued = async |status: &str| {
        let shown = get(&broker, admin, &path).await.json();
        has_exactly(&shown, &[WORK_ORDER, WORK_ORDER_OURS]);
        assert_eq!(shown["status"], status);
        assert_eq!(
            get(&broker, admin, "/api/v1/work-orders").await.json(),
            json!([shown])
        );
    };

    queued("PENDING").await;
    let claim = json!({"agent_id": agent});
    let claimed = post(&broker, &pak, &format!("{path}/claim"), claim.clone())
        .await
        .json();
    has_exactly(&claimed, &[WORK_ORDER, WORK_ORDER_OURS]);
    queued("CLAIMED").await;
    post(
        &broker,
        &pak,
        &format!("{path}/complete"),
        json!({"success": false}),
    )
    .await;
    queued("RETRY_PENDING").await;
    broker.advance(Duration::from_secs(120)).await;
    post(&broker, &pak, &format!("{path}/claim"), claim).await;
    let ended = post(
        &broker,
        &pak,
        &format!("{path}/complete"),
        json!({"success": false, "retryable": false}),
    )
    .await;
    has_exactly(&ended.json(), &[WORK_ORDER_LOG, WORK_ORDER_LOG_OURS]);
    assert_eq!(
        (&ended.json()["result_message"], &ended.json()["class"]),
        (&Value::Null, &Value::Null)
    );
    let shown = get(&broker, admin, &path).await.json();
    has_exactly(&shown, &[WORK_ORDER, WORK_ORDER_OURS]);
    assert_eq!(shown["status"], "FAILED");

    let agents = get(&broker, admin, "/api/v1/agents").await.json();
    has_exactly(&agents[0], &[AGENT, AGENT_OURS]);
    let path = format!("/api/v1/agents/{agent}");
    let label = post(
        &broker,
        admin,
        &format!("{path}/labels"),
        json!({"agent_id": agent, "label": "gpu"}),
    )
    .await;
    has_exactly(&label.json(), &[&["id", "agent_id", "label"]]);
    let body = json!({"agent_id": agent, "key": "zone", "value": "eu"});
    let annotation = post(&broker, admin, &format!("{path}/annotations"), body).await;
    has_exactly(&annotation.json(), &[&["id", "agent_id", "key", "value"]]);
}
