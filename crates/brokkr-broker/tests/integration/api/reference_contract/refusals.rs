//! What the reference refuses.

use brokkr_api::PakText;
use brokkr_testkit::{Answer, Backend, TestBroker};
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};

use super::{agent, submit};
use crate::api::call::{ask, get, post, refusal, refused, send};

#[rstest]
#[tokio::test]
async fn what_the_reference_refuses_is_refused_with_its_codes(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let ((agent, own), (_, other)) = (agent(&broker, "runner").await, agent(&broker, "other").await);
    let (admin, generator) = (broker.admin_pak(), broker.generator().await.pak);
    let order = json!({"work_type": "custom", "yaml_content": "a: 1", "targeting": {"agent_ids": [agent]}});
    let id = submit(&broker, order.clone()).await;
    let held = submit(&broker, order.clone()).await;
    let claim = json!({"agent_id": agent});
    post(
        &broker,
        &own,
        &format!("/api/v1/work-orders/{held}/claim"),
        claim.clone(),
    )
    .await;
    let label = json!({"agent_id": agent, "label": "there"});
    post(
        &broker,
        admin,
        &format!("/api/v1/agents/{agent}/labels"),
        label.clone(),
    )
    .await;

    let absent = uuid::Uuid::from_u128(1);
    let with = |name: &str, value: Value| {
        let mut order = order.clone();
        order[name] = value;
        order
    };
    let success = json!({"success": true});
    let cases: Vec<(&PakText, &str, String, Value, u16, &str)> = vec![
        (
            admin,
            "POST",
            "work-orders".into(),
            with("targeting", Value::Null),
            400,
            "no_targeting_specified",
        ),
        (
            admin,
            "POST",
            "work-orders".into(),
            with("work_type", json!("")),
            400,
            "invalid_work_order",
        ),
        (
            admin,
            "POST",
            "work-orders".into(),
            with("target_agent_ids", json!([absent])),
            422,
            "foreign_key_violation",
        ),
        (
            admin,
            "POST",
            "work-orders".into(),
            with("target_agent_ids", json!([agent])),
            409,
            "unique_violation",
        ),
        (
            &generator,
            "POST",
            "work-orders".into(),
            order.clone(),
            403,
            "admin_required",
        ),
        (
            &own,
            "GET",
            "work-orders".into(),
            Value::Null,
            403,
            "admin_required",
        ),
        (
            &own,
            "GET",
            format!("work-orders/{absent}"),
            Value::Null,
            403,
            "admin_required",
        ),
        (
            admin,
            "GET",
            format!("work-orders/{absent}"),
            Value::Null,
            404,
            "work_order_not_found",
        ),
        (
            admin,
            "DELETE",
            format!("work-orders/{absent}"),
            Value::Null,
            404,
            "work_order_not_found",
        ),
        (
            &other,
            "GET",
            format!("agents/{agent}/work-orders/pending"),
            Value::Null,
            403,
            "agent_pak_mismatch",
        ),
        (
            &other,
            "POST",
            format!("work-orders/{id}/claim"),
            claim.clone(),
            403,
            "agent_pak_mismatch",
        ),
        (
            &own,
            "POST",
            format!("work-orders/{absent}/claim"),
            claim.clone(),
            404,
            "work_order_not_claimable",
        ),
        (
            &own,
            "POST",
            format!("work-orders/{held}/claim"),
            claim,
            404,
            "work_order_not_claimable",
        ),
        (
            &other,
            "POST",
            format!("work-orders/{absent}/complete"),
            success.clone(),
            404,
            "work_order_not_found",
        ),
        (
            &other,
            "POST",
            format!("work-orders/{held}/complete"),
            success.clone(),
            403,
            "work_order_not_claimed_by_agent",
        ),
        (
            &own,
            "POST",
            format!("work-orders/{id}/complete"),
            success.clone(),
            403,
            "work_order_not_claimed_by_agent",
        ),
        (
            admin,
            "POST",
            format!("work-orders/{id}/complete"),
            success,
            409,
            "work_order_not_claimed",
        ),
        (
            admin,
            "GET",
            format!("work-order-log/{id}"),
            Value::Null,
            404,
            "work_order_log_entry_not_found",
        ),
        (
            &generator,
            "GET",
            "work-order-log".into(),
            Value::Null,
            403,
            "admin_required",
        ),
        (
            &own,
            "GET",
            "agents".into(),
            Value::Null,
            403,
            "generator_required",
        ),
        (
            admin,
            "GET",
            "agents/".into(),
            Value::Null,
            400,
            "name_and_cluster_required",
        ),
        (
            admin,
            "GET",
            "agents/?name=nobody&cluster_name=x".into(),
            Value::Null,
            404,
            "agent_not_found",
        ),
        (
            admin,
            "POST",
            "agents".into(),
            json!({"name": "", "cluster_name": "c"}),
            400,
            "invalid_agent",
        ),
        (
            admin,
            "POST",
            "agents".into(),
            json!({"name": "runner", "cluster_name": "cluster"}),
            409,
            "unique_violation",
        ),
        (
            admin,
            "GET",
            format!("agents/{absent}"),
            Value::Null,
            404,
            "agent_not_found",
        ),
        (
            &other,
            "GET",
            format!("agents/{agent}"),
            Value::Null,
            403,
            "agent_pak_mismatch",
        ),
        (
            admin,
            "DELETE",
            format!("agents/{absent}"),
            Value::Null,
            404,
            "agent_not_found",
        ),
        (
            admin,
            "POST",
            format!("agents/{absent}/labels"),
            label.clone(),
            400,
            "agent_id_mismatch",
        ),
        (
            admin,
            "POST",
            format!("agents/{agent}/labels"),
            label,
            409,
            "unique_violation",
        ),
        (
            admin,
            "DELETE",
            format!("agents/{agent}/labels/absent"),
            Value::Null,
            404,
            "agent_label_not_found",
        ),
        (
            admin,
            "DELETE",
            format!("agents/{agent}/annotations/absent"),
            Value::Null,
            404,
            "agent_annotation_not_found",
        ),
        (
            admin,
            "POST",
            format!("agents/{absent}/rotate-pak"),
            Value::Null,
            404,
            "agent_not_found",
        ),
        (
            &other,
            "POST",
            format!("agents/{agent}/heartbeat"),
            json!({}),
            403,
            "agent_pak_mismatch",
        ),
    ];
    for (pak, method, path, body, status, code) in cases {
        let path = format!("/api/v1/{path}");
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let answer = if body.is_null() {
            ask(&broker, pak, method, &path).await
        } else {
            send(&broker, pak, method, &path, body).await
        };
        assert_eq!(refusal(&answer), refused(status, code), "{path}");
        assert_eq!(answer.header("content-type"), "application/json", "{path}");
    }
    let listed = get(&broker, admin, "/api/v1/work-orders").await.json();
    assert_eq!(listed.as_array().unwrap().len(), 2, "nothing was left behind");
    assert_eq!(
        get(&broker, admin, "/api/v1/work-order-log").await.json(),
        json!([])
    );
}

#[rstest]
#[tokio::test]
async fn a_key_is_sent_as_the_reference_takes_it(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let key = broker.admin_pak().expose();
    for (sent, status) in [
        (format!("Bearer {key}"), 200),
        (format!("bearer {key}"), 200),
        (key.to_owned(), 200),
        (format!("Basic {key}"), 401),
        (format!("Token {key}"), 401),
    ] {
        let request = broker
            .http(Method::GET, "/api/v1/work-orders")
            .header("Authorization", &sent);
        assert_eq!(
            Answer::of(request).await.status,
            status,
            "{}",
            sent.replace(key, "...")
        );
    }
}
