//! How agents take work orders and keep them.

use std::time::Duration;

use brokkr_api::{ClaimRequest, FailureClass, WorkOrder, WorkOrderStatus};
use brokkr_client::ClientError;
use brokkr_testkit::{Backend, LEASE, TestAgent, TestBroker};
use rstest::rstest;
use serde_json::json;
use uuid::Uuid;

use super::call::{post, refusal, refused};
use super::refusals::code;

const SECOND: Duration = Duration::from_secs(1);

async fn claim_waiting(agent: &TestAgent, max: i64) -> Result<Vec<WorkOrder>, ClientError> {
    let request = ClaimRequest {
        wait_seconds: Some(60),
        max: Some(max),
        ..agent.claim_request()
    };
    let claimed = agent.client.claim(agent.id, &request).await?;
    Ok(claimed.into_iter().map(|claim| claim.work_order).collect())
}

/// Waits until so many claims wait. They are on their way.
async fn parked(broker: &TestBroker, claims: usize) {
    while broker.app().parked_claims() != claims {
        tokio::task::yield_now().await;
    }
}

/// Lets a claim wait while `then` happens, and answers what it got.
async fn waiting_while(
    broker: &TestBroker,
    agent: &TestAgent,
    then: impl Future<Output = ()>,
) -> Vec<WorkOrder> {
    let act = async {
        parked(broker, 1).await;
        then.await;
    };
    let (claimed, ()) = tokio::join!(claim_waiting(agent, 1), act);
    claimed.unwrap()
}

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
async fn a_claim_that_waits_is_woken_by_a_new_order(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let claimed = waiting_while(&broker, &agent, async {
        broker.work_order().for_agent(&agent).create().await;
    })
    .await;
    assert_eq!(claimed.len(), 1);
    parked(&broker, 0).await;
}

#[rstest]
#[tokio::test]
async fn a_claim_that_waits_is_woken_by_whatever_brings_work(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let (agent, other) = (broker.agent().await, broker.agent().await);
    let admin = broker.admin();

    // A release.
    let order = broker
        .work_order()
        .for_agents([&agent, &other])
        .backoff_seconds(1)
        .create()
        .await;
    let held = other.claim(&order).await.unwrap();
    let got = waiting_while(&broker, &agent, async {
        drop(other.release(&held).await.unwrap())
    })
    .await;
    assert_eq!(got[0].attempt, 2);
    // A retry that is due.
    agent.fail(&got[0], FailureClass::Infrastructure).await.unwrap();
    let got = waiting_while(&broker, &agent, broker.advance(SECOND * 2)).await;
    assert_eq!(got[0].attempt, 3);
    // A lease that passed.
    let got = waiting_while(&broker, &other, broker.advance(LEASE)).await;
    assert_eq!(got[0].attempt, 4);
    // Another targeting.
    let order = broker.work_order().label("nobody").create().await;
    let target = brokkr_api::SetTargeting {
        agent_ids: Some(vec![agent.id]),
        ..Default::default()
    };
    let got = waiting_while(&broker, &agent, async {
        drop(admin.set_targeting(order.id, &target).await.unwrap())
    })
    .await;
    assert_eq!(got[0].id, order.id);
    // A new label.
    let order = broker.work_order().label("gpu").create().await;
    let got = waiting_while(&broker, &agent, async {
        drop(admin.add_agent_label(agent.id, "gpu").await.unwrap())
    })
    .await;
    assert_eq!(got[0].id, order.id);
    // A repetition.
    agent.succeed(&got[0]).await.unwrap();
    let got = waiting_while(&broker, &agent, async {
        drop(admin.retry_work_order(order.id).await.unwrap())
    })
    .await;
    assert_eq!(got[0].retry_of, Some(order.id));
}

#[rstest]
#[tokio::test]
async fn work_that_another_replica_accepted_is_found_by_the_next_look(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let replica = broker.replica().await;
    let agent = broker.agent().await;
    let claimed = waiting_while(&broker, &agent, async {
        replica.work_order().for_agent(&agent).create().await;
        broker.sweep().await;
    })
    .await;
    assert_eq!(claimed.len(), 1);
}

#[rstest]
#[tokio::test]
async fn of_two_claims_that_wait_one_order_wakes_one(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let (one, other) = (broker.agent().await, broker.agent().await);
    let act = async {
        parked(&broker, 2).await;
        let order = broker.work_order().for_agents([&one, &other]).create().await;
        parked(&broker, 1).await;
        broker.app().stopping().cancel();
        order
    };
    let (first, second, order) = tokio::join!(claim_waiting(&one, 1), claim_waiting(&other, 1), act);
    let claimed: Vec<_> = [first.unwrap(), second.unwrap()].concat();
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].id, order.id);
}

#[tokio::test]
async fn a_broker_that_stops_answers_claims_that_wait_with_none() {
    let broker = TestBroker::start(Backend::Sqlite).await;
    let agent = broker.agent().await;
    let claimed = waiting_while(&broker, &agent, async { broker.app().stopping().cancel() }).await;
    assert!(claimed.is_empty());
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
async fn one_renewal_keeps_everything_and_tells_what_is_lost_and_what_is_to_stop(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    for _ in 0..4 {
        broker.work_order().for_agent(&agent).create().await;
    }
    let claims: Vec<_> = agent
        .claim_next(9)
        .await
        .unwrap()
        .into_iter()
        .map(|claim| claim.work_order)
        .collect();
    let [kept, to_stop, released, ended] = &claims[..] else {
        panic!("four were claimed")
    };
    let reason = brokkr_api::Cancel {
        reason: Some("too late".to_owned()),
    };
    broker
        .admin()
        .cancel_work_order(to_stop.id, &reason)
        .await
        .unwrap();
    agent.release(released).await.unwrap();
    agent.succeed(ended).await.unwrap();
    broker.advance(SECOND * 10).await;

    let absent = WorkOrder {
        id: Uuid::from_u128(1),
        ..kept.clone()
    };
    let renewals = agent
        .renew(&[kept, to_stop, released, ended, &absent])
        .await
        .unwrap();

    let renewed: Vec<_> = renewals
        .renewed
        .iter()
        .map(|renewed| (renewed.id, renewed.attempt))
        .collect();
    assert_eq!(renewed, [(kept.id, 1), (to_stop.id, 1)]);
    let until = broker.now().plus(LEASE).to_string();
    assert!(
        renewals
            .renewed
            .iter()
            .all(|renewed| renewed.lease_expires_at.to_string() == until)
    );
    assert_eq!(
        (renewals.cancel[0].id, renewals.cancel[0].reason.as_deref()),
        (to_stop.id, Some("too late"))
    );
    assert_eq!(renewals.cancel.len(), 1);
    let lost: Vec<_> = renewals.lost.iter().map(|lost| (lost.id, &*lost.code)).collect();
    assert_eq!(
        lost,
        [
            (released.id, "stale_attempt"),
            (ended.id, "work_order_ended"),
            (absent.id, "work_order_not_found")
        ]
    );
}

#[rstest]
#[tokio::test]
async fn a_renewal_is_a_heartbeat_also_without_claims(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    assert_eq!(agent.renew(&[]).await.unwrap(), brokkr_api::Renewals::default());
    let heartbeat = broker.admin().agent(agent.id).await.unwrap().last_heartbeat;
    assert_eq!(heartbeat.unwrap().to_string(), broker.now().to_string());
}

#[rstest]
#[tokio::test]
async fn an_order_that_is_renewed_in_time_stays_with_its_agent(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    broker.work_order().for_agent(&agent).create().await;
    let claim = agent.claim_next(1).await.unwrap().remove(0).work_order;
    for _ in 0..5 {
        broker.advance(LEASE - SECOND).await;
        assert_eq!(agent.renew(&[&claim]).await.unwrap().renewed.len(), 1);
    }
    agent.succeed(&claim).await.unwrap();
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
