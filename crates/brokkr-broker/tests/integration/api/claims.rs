//! How agents take work orders and give them back.

mod waiting;

use brokkr_api::{ClaimRequest, WorkOrder, WorkOrderStatus};
use brokkr_testkit::{Backend, TestAgent, TestBroker};
use futures_util::future::join_all;
use rstest::rstest;
use serde_json::json;
use uuid::Uuid;

use super::call::{post, refusal, refused};
use super::refusals::code;

#[rstest]
#[tokio::test]
async fn a_claim_by_id_holds_for_the_orders_claim_timeout(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let order = broker
        .work_order()
        .for_agent(&agent)
        .claim_timeout_seconds(90)
        .create()
        .await;
    let claim = agent.claim(&order).await.unwrap();
    assert_eq!(
        (claim.status, claim.attempt, claim.claimed_by),
        (WorkOrderStatus::Claimed, 1, Some(agent.id))
    );
    assert_eq!(claim.claimed_at.unwrap().to_string(), broker.now().to_string());
    assert_eq!(
        claim.lease_expires_at.unwrap().to_string(),
        broker.now().plus_seconds(90).to_string()
    );
}

#[rstest]
#[tokio::test]
async fn what_cannot_be_claimed_is_not_told_apart(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let (agent, other) = (broker.agent().await, broker.agent().await);
    let not_targeted = broker.work_order().for_agent(&other).create().await;
    let claimed = broker.work_order().for_agents([&agent, &other]).create().await;
    other.claim(&claimed).await.unwrap();
    let scheduled = broker
        .work_order()
        .for_agent(&agent)
        .run_at(broker.now().plus_seconds(60))
        .create()
        .await;
    let absent = WorkOrder {
        id: Uuid::from_u128(1),
        ..scheduled.clone()
    };
    for order in [&not_targeted, &claimed, &scheduled, &absent] {
        assert_eq!(code(agent.claim(order).await), "work_order_not_claimable");
    }
}

#[rstest]
#[tokio::test]
async fn the_next_orders_come_by_priority_and_then_by_age(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let mut ids = Vec::new();
    for priority in [0, 5, 0, 5, -1] {
        ids.push(
            broker
                .work_order()
                .for_agent(&agent)
                .priority(priority)
                .create()
                .await
                .id,
        );
    }
    let claimed: Vec<_> = agent
        .claim_next(4)
        .await
        .unwrap()
        .iter()
        .map(|claim| claim.work_order.id)
        .collect();
    assert_eq!(claimed, [ids[1], ids[3], ids[0], ids[2]]);
    assert_eq!(agent.claim_next(4).await.unwrap()[0].work_order.id, ids[4]);
    assert!(agent.claim_next(4).await.unwrap().is_empty());
}

#[rstest]
#[tokio::test]
async fn a_claim_takes_only_the_types_that_it_wants_and_the_shorter_lease(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    broker.work_order().for_agent(&agent).create().await;
    let build = broker
        .work_order()
        .for_agent(&agent)
        .work_type("build")
        .claim_timeout_seconds(7)
        .create()
        .await;
    let request = ClaimRequest {
        max: Some(9),
        work_types: Some(vec!["build".to_owned()]),
        ..agent.claim_request()
    };
    let claimed = agent.client.claim(agent.id, &request).await.unwrap();
    assert_eq!(claimed.len(), 1);
    let claim = &claimed[0].work_order;
    assert_eq!(claim.id, build.id);
    assert_eq!(
        claim.lease_expires_at.unwrap().to_string(),
        broker.now().plus_seconds(7).to_string()
    );
}

#[rstest]
#[tokio::test]
async fn a_newer_process_of_an_agent_takes_over_for_ever(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let old = broker.agent().await;
    let order = broker.work_order().for_agent(&old).create().await;
    old.claim_next(1).await.unwrap();
    let new = old.restarted("process-2");

    let held = new.client.held_claims(new.id).await.unwrap();
    assert_eq!(held[0].work_order.id, order.id);
    assert_eq!(new.renew(&[&held[0].work_order]).await.unwrap().renewed.len(), 1);
    for _ in 0..2 {
        assert_eq!(
            code(old.renew(&[&held[0].work_order]).await),
            "superseded_instance"
        );
        assert_eq!(code(old.claim_next(1).await), "superseded_instance");
        new.claim_next(1).await.unwrap();
    }
}

#[rstest]
#[tokio::test]
async fn an_order_that_is_given_back_is_there_again_and_uses_up_no_retry(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let (agent, other) = (broker.agent().await, broker.agent().await);
    let order = broker
        .work_order()
        .for_agents([&agent, &other])
        .max_retries(0)
        .create()
        .await;
    let first = agent.claim(&order).await.unwrap();
    let released = agent.release(&first).await.unwrap();
    assert_eq!(
        (released.status, released.attempt, released.retry_count),
        (WorkOrderStatus::Pending, 1, 0)
    );
    assert_eq!(code(agent.release(&first).await), "stale_attempt");
    assert_eq!(
        code(other.release(&first).await),
        "work_order_not_claimed_by_agent"
    );

    let second = other.claim(&order).await.unwrap();
    assert_eq!(second.attempt, 2);
    assert_eq!(code(agent.release(&first).await), "stale_attempt");
    let wrong = WorkOrder {
        attempt: 7,
        ..second.clone()
    };
    assert_eq!(code(other.release(&wrong).await), "stale_attempt");
    other.succeed(&second).await.unwrap();
    let endings: Vec<_> = broker
        .admin()
        .attempts(order.id)
        .await
        .unwrap()
        .iter()
        .map(|a| a.ending)
        .collect();
    use brokkr_api::AttemptEnding::{Released, Succeeded};
    assert_eq!(endings, [Some(Released), Some(Succeeded)]);
}

#[rstest]
#[case(json!({"max": 0}))]
#[case(json!({"max": 101}))]
#[case(json!({"lease_seconds": 4}))]
#[case(json!({"wait_seconds": 61}))]
#[case(json!({"wait_seconds": -1}))]
#[case(json!({"instance_id": ""}))]
#[case(json!({"instance_id": "x".repeat(65)}))]
#[case(json!({"instance_id": "a\u{0}"}))]
#[case(json!({"work_types": ["two words"]}))]
#[case(json!({"work_types": vec!["a"; 101]}))]
#[tokio::test]
async fn a_claim_that_makes_no_sense_is_refused(#[case] more: serde_json::Value) {
    let broker = TestBroker::start(Backend::Sqlite).await;
    let agent = broker.agent().await;
    let mut body = json!({"instance_id": "i"});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    let path = format!("/api/v1/agents/{}/claims", agent.id);
    assert_eq!(
        refusal(&post(&broker, &agent.pak, &path, body).await),
        refused(400, "invalid_claim")
    );
}

#[rstest]
#[tokio::test]
async fn the_trace_of_the_submission_reaches_the_agent(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let request = broker.work_order().for_agent(&agent).request();
    let created = broker
        .http(reqwest::Method::POST, "/api/v1/work-orders")
        .bearer_auth(broker.admin_pak().expose())
        .header("traceparent", TRACEPARENT)
        .json(&request)
        .send()
        .await
        .unwrap();
    assert_eq!(created.status(), 201);

    let claimed = agent
        .client
        .claim(agent.id, &agent.claim_request())
        .await
        .unwrap();
    assert_eq!(claimed[0].traceparent.as_deref(), Some(TRACEPARENT));
}

#[rstest]
#[tokio::test]
async fn of_many_agents_that_race_for_an_order_one_gets_it(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let replica = broker.replica().await;
    let mut agents = Vec::new();
    for _ in 0..10 {
        let agent = broker.agent().await;
        let there = TestAgent {
            client: replica.client(&agent.pak),
            ..agent.clone()
        };
        agents.extend([agent, there]);
    }
    let order = broker
        .work_order()
        .for_agents(agents.iter().step_by(2))
        .create()
        .await;
    let by_id = agents.iter().step_by(2).map(|agent| agent.claim(&order));
    let next = agents.iter().skip(1).step_by(2).map(|agent| agent.claim_next(1));
    let (by_id, next) = tokio::join!(join_all(by_id), join_all(next));
    let winners = by_id.iter().filter(|claim| claim.is_ok()).count();
    let found: usize = next.into_iter().map(|claims| claims.unwrap().len()).sum();
    assert_eq!(winners + found, 1);
    assert_eq!(broker.admin().work_order(order.id).await.unwrap().attempt, 1);
}

#[rstest]
#[tokio::test]
async fn an_order_is_given_back_by_its_holder_or_for_it_by_an_administrator(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let (agent, other) = (broker.agent().await, broker.agent().await);
    let (admin, generator, viewer) = (
        broker.admin_pak(),
        broker.generator().await,
        broker.viewer().await,
    );
    let order = broker.work_order().for_agents([&agent, &other]).create().await;
    let release = async |pak, id: Uuid, body: serde_json::Value| {
        post(&broker, pak, &format!("/api/v1/work-orders/{id}/release"), body).await
    };
    let own = json!({"agent_id": agent.id, "attempt": 1});
    let waiting = release(&agent.pak, order.id, own.clone()).await;
    assert_eq!(refusal(&waiting), refused(403, "work_order_not_claimed_by_agent"));
    let absent = release(&agent.pak, Uuid::from_u128(1), own.clone()).await;
    assert_eq!(refusal(&absent), refused(404, "work_order_not_found"));

    let claim = agent.claim(&order).await.unwrap();
    for (pak, code) in [
        (&other.pak, "agent_pak_mismatch"),
        (&generator.pak, "admin_required"),
        (&viewer.pak, "read_only"),
    ] {
        assert_eq!(
            refusal(&release(pak, order.id, own.clone()).await),
            refused(403, code)
        );
    }
    for (body, status, code) in [
        (
            json!({"agent_id": other.id, "attempt": 1}),
            403,
            "work_order_not_claimed_by_agent",
        ),
        (json!({"agent_id": agent.id, "attempt": 2}), 409, "stale_attempt"),
        (json!({"agent_id": agent.id, "attempt": 0}), 400, "invalid_ending"),
        (
            json!({"agent_id": agent.id, "attempt": 1, "reason": ""}),
            400,
            "invalid_reason",
        ),
        (json!({"agent_id": agent.id}), 422, "invalid_body"),
    ] {
        assert_eq!(
            refusal(&release(admin, order.id, body).await),
            refused(status, code)
        );
    }
    assert_eq!(broker.admin().work_order(order.id).await.unwrap(), claim);

    let released = release(admin, order.id, own.clone()).await;
    assert_eq!(
        (released.status, released.json()["status"].clone()),
        (200, json!("PENDING"))
    );
    assert_eq!(
        (
            released.json()["claimed_by"].clone(),
            released.json()["attempt"].clone()
        ),
        (json!(null), json!(1))
    );
    let claim = agent.claim(&order).await.unwrap();
    agent.succeed(&claim).await.unwrap();
    let ended = json!({"agent_id": agent.id, "attempt": 2});
    assert_eq!(
        refusal(&release(&agent.pak, order.id, ended).await),
        refused(409, "stale_attempt")
    );
}
