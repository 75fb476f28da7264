//! How agents keep what they hold.

mod reports;

use std::time::Duration;

use brokkr_api::{AttemptEnding, Cancel, RenewalsRequest, UpdateAgent, WorkOrder, WorkOrderStatus};
use brokkr_broker::dal::work_orders;
use brokkr_core::ids::WorkOrderId;
use brokkr_core::limits::LeaseSeconds;
use brokkr_testkit::{Backend, LEASE, TestAgent, TestBroker};
use rstest::rstest;
use serde_json::{Value, json};
use tokio::time::sleep;
use uuid::Uuid;

use super::call::{post, refusal, refused};
use super::endings::claimed;
use super::refusals::code;
use reports::report;

const SECOND: Duration = Duration::from_secs(1);

fn path(agent: &TestAgent) -> String {
    format!("/api/v1/agents/{}/renewals", agent.id)
}

fn body(claim: &WorkOrder) -> Value {
    json!({"instance_id": "process-1", "claims": [{"id": claim.id, "attempt": claim.attempt}]})
}

async fn lease_of(broker: &TestBroker, order: &WorkOrder) -> String {
    let order = broker.admin().work_order(order.id).await.unwrap();
    order.lease_expires_at.expect("it is claimed").to_string()
}

#[rstest]
#[tokio::test]
async fn a_renewal_answers_exactly_what_still_holds_what_is_lost_and_what_is_to_stop(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let claim = claimed(&broker, &agent).await;
    let mut request = body(&claim);
    let absent = Uuid::from_u128(7);
    request["claims"]
        .as_array_mut()
        .unwrap()
        .push(json!({"id": absent, "attempt": 3}));
    let quiet = post(&broker, &agent.pak, &path(&agent), request.clone()).await;
    let until = broker.now().plus_seconds(30).to_string();
    let renewed = json!([{"id": claim.id, "attempt": 1, "lease_expires_at": until}]);
    let lost = json!([{"id": absent, "attempt": 3, "code": "work_order_not_found"}]);
    assert_eq!(
        (quiet.status, quiet.json()),
        (200, json!({"renewed": renewed, "lost": lost, "cancel": []}))
    );

    broker
        .admin()
        .cancel_work_order(claim.id, &Cancel::default())
        .await
        .unwrap();
    let told = post(&broker, &agent.pak, &path(&agent), request).await;
    assert_eq!(
        told.json()["cancel"],
        json!([{"id": claim.id, "attempt": 1, "reason": null}])
    );
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
    let claim = agent.claim_one().await;
    for _ in 0..5 {
        broker.advance(LEASE - SECOND).await;
        assert_eq!(agent.renew(&[&claim]).await.unwrap().renewed.len(), 1);
    }
    agent.succeed(&claim).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn a_renewal_holds_for_the_smaller_of_what_is_asked_for_and_the_orders_timeout(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    broker
        .work_order()
        .for_agent(&agent)
        .claim_timeout_seconds(60)
        .create()
        .await;
    let claim = agent.claim_one().await;
    for (asked, granted) in [(45, 45), (61, 60), (i64::from(LeaseSeconds::MAX), 60)] {
        let mut request = body(&claim);
        request["lease_seconds"] = json!(asked);
        assert_eq!(
            post(&broker, &agent.pak, &path(&agent), request).await.status,
            200
        );
        assert_eq!(
            lease_of(&broker, &claim).await,
            broker.now().plus_seconds(granted).to_string()
        );
    }
    // Renewals may go on past the timeout; it bounds one lease and not the attempt.
    for _ in 0..4 {
        broker.advance(SECOND * 29).await;
        assert_eq!(agent.renew(&[&claim]).await.unwrap().renewed.len(), 1);
    }
    agent.succeed(&claim).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn a_renewal_never_makes_a_lease_shorter(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let order = broker
        .work_order()
        .for_agent(&agent)
        .claim_timeout_seconds(600)
        .create()
        .await;
    let claim = agent.claim(&order).await.unwrap();
    let before = lease_of(&broker, &claim).await;

    let renewals = agent.renew(&[&claim]).await.unwrap();

    assert_eq!(renewals.renewed[0].lease_expires_at.to_string(), before);
    assert_eq!(lease_of(&broker, &claim).await, before);
}

#[rstest]
#[tokio::test]
async fn a_lease_that_has_passed_can_be_renewed_until_it_is_taken_back(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let claim = claimed(&broker, &agent).await;
    broker.clock().advance(LEASE * 2);
    assert_eq!(agent.renew(&[&claim]).await.unwrap().renewed.len(), 1);
    broker.sweep().await;
    assert_eq!(
        broker.admin().work_order(claim.id).await.unwrap().status,
        WorkOrderStatus::Claimed
    );

    broker.advance(LEASE).await;
    let renewals = agent.renew(&[&claim]).await.unwrap();
    assert!(renewals.renewed.is_empty());
    assert_eq!(
        (renewals.lost[0].id, &*renewals.lost[0].code),
        (claim.id, "stale_attempt")
    );
    let attempts = broker.admin().attempts(claim.id).await.unwrap();
    assert_eq!(attempts[0].ending, Some(AttemptEnding::Lost));
}

#[rstest]
#[tokio::test]
async fn nobody_keeps_what_somebody_else_holds(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let (holder, other) = (broker.agent().await, broker.agent().await);
    let claim = claimed(&broker, &holder).await;
    let before = lease_of(&broker, &claim).await;
    broker.clock().advance(SECOND);

    let lost = other.renew(&[&claim]).await.unwrap().lost;
    assert_eq!((lost[0].id, &*lost[0].code), (claim.id, "stale_attempt"));
    let next = WorkOrder {
        attempt: 2,
        ..claim.clone()
    };
    assert_eq!(holder.renew(&[&next]).await.unwrap().lost[0].attempt, 2);
    for pak in [
        broker.admin_pak(),
        &other.pak,
        &broker.generator().await.pak,
        &broker.viewer().await.pak,
    ] {
        let answer = post(&broker, pak, &path(&holder), body(&claim)).await;
        assert_eq!(refusal(&answer), refused(403, "agent_pak_mismatch"));
    }
    assert_eq!(lease_of(&broker, &claim).await, before);
}

#[rstest]
#[tokio::test]
async fn a_removed_order_is_told_as_not_found_and_a_removed_agent_is_nobody(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let claim = claimed(&broker, &agent).await;
    broker.admin().delete_work_order(claim.id).await.unwrap();
    assert_eq!(
        agent.renew(&[&claim]).await.unwrap().lost[0].code,
        "work_order_not_found"
    );
    broker.admin().delete_agent(agent.id).await.unwrap();
    assert_eq!(code(agent.renew(&[&claim]).await), "invalid_credentials");
}

#[rstest]
#[tokio::test]
async fn a_paused_agent_keeps_and_ends_what_it_holds(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let claim = claimed(&broker, &agent).await;
    broker.work_order().for_agent(&agent).create().await;
    let paused = UpdateAgent {
        status: Some("INACTIVE".to_owned()),
        ..UpdateAgent::default()
    };
    broker.admin().update_agent(agent.id, &paused).await.unwrap();

    assert!(agent.claim_next(1).await.unwrap().is_empty());
    assert_eq!(agent.renew(&[&claim]).await.unwrap().renewed.len(), 1);
    agent.succeed(&claim).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn a_claim_that_is_named_twice_is_answered_and_changes_nothing_else(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let claim = claimed(&broker, &agent).await;
    let stale = WorkOrder {
        attempt: 4,
        ..claim.clone()
    };
    let renewals = agent.renew(&[&claim, &claim, &stale]).await.unwrap();
    assert!(
        renewals
            .renewed
            .iter()
            .all(|renewed| (renewed.id, renewed.attempt) == (claim.id, 1))
    );
    assert!(!renewals.renewed.is_empty());
    assert_eq!(
        renewals.lost.iter().map(|lost| lost.attempt).collect::<Vec<_>>(),
        [4]
    );
}

#[rstest]
#[tokio::test]
async fn a_thousand_claims_are_kept_by_one_renewal_and_not_one_more(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let claim = claimed(&broker, &agent).await;
    let absent: Vec<_> = (1..1_000)
        .map(|n| WorkOrder {
            id: Uuid::from_u128(n),
            ..claim.clone()
        })
        .collect();
    let mut all: Vec<&WorkOrder> = absent.iter().collect();
    all.push(&claim);
    let renewals = agent.renew(&all).await.unwrap();
    assert_eq!((renewals.renewed.len(), renewals.lost.len()), (1, 999));
    all.push(&claim);
    assert_eq!(code(agent.renew(&all).await), "invalid_renewal");
}

#[rstest]
#[case(json!({"lease_seconds": 4}), 400, "invalid_renewal")]
#[case(json!({"lease_seconds": -1}), 400, "invalid_renewal")]
#[case(json!({"lease_seconds": i64::MAX}), 400, "invalid_renewal")]
#[case(json!({"lease_seconds": "30"}), 422, "invalid_body")]
#[case(json!({"instance_id": ""}), 400, "invalid_renewal")]
#[case(json!({"instance_id": "a b"}), 400, "invalid_renewal")]
#[case(json!({"instance_id": "a\u{0}"}), 400, "invalid_renewal")]
#[case(json!({"instance_id": null}), 422, "invalid_body")]
#[case(json!({"state": "x".repeat(65)}), 400, "invalid_renewal")]
#[case(json!({"state": "\u{0}"}), 400, "invalid_renewal")]
#[case(json!({"report": {"slots": -1, "running": 0, "work_types": [], "version": ""}}), 400, "invalid_renewal")]
#[case(json!({"report": {"slots": 1, "running": 100_001, "work_types": [], "version": ""}}), 400, "invalid_renewal")]
#[case(json!({"report": {"slots": 1, "running": 0, "work_types": [], "version": "\u{7}"}}), 400, "invalid_renewal")]
#[case(json!({"report": {"slots": 1, "running": 0, "work_types": [{"work_type": ""}], "version": ""}}), 400, "invalid_renewal")]
#[case(json!({"report": {"slots": 1, "running": 0, "work_types": [{"work_type": "t", "unavailable": "\n"}], "version": ""}}), 400, "invalid_renewal")]
#[case(json!({"report": {"slots": 1, "running": 0, "work_types": [], "version": "", "window_opens_at": "1969-01-01T00:00:00Z"}}), 400, "invalid_renewal")]
#[case(json!({"claims": [{"id": Uuid::nil(), "attempt": 0}]}), 400, "invalid_renewal")]
#[case(json!({"claims": [{"id": Uuid::nil(), "attempt": -1}]}), 400, "invalid_renewal")]
#[case(json!({"claims": [{"id": Uuid::nil(), "attempt": 9_007_199_254_740_992_i64}]}), 400, "invalid_renewal")]
#[case(json!({"claims": [{"id": "nonsense", "attempt": 1}]}), 422, "invalid_body")]
#[case(json!({"leases": []}), 422, "invalid_body")]
#[tokio::test]
async fn a_renewal_that_makes_no_sense_renews_nothing(
    #[case] more: Value,
    #[case] status: u16,
    #[case] expected: &str,
) {
    let broker = TestBroker::start(Backend::Sqlite).await;
    let agent = broker.agent().await;
    let claim = claimed(&broker, &agent).await;
    let before = broker.admin().work_order(claim.id).await.unwrap();
    broker.clock().advance(SECOND);
    let mut request = body(&claim);
    for (name, value) in more.as_object().unwrap() {
        request[name] = value.clone();
    }
    let answer = post(&broker, &agent.pak, &path(&agent), request).await;
    assert_eq!(refusal(&answer), refused(status, expected));
    assert_eq!(broker.admin().work_order(claim.id).await.unwrap(), before);
    assert_eq!(broker.admin().agent(agent.id).await.unwrap().last_heartbeat, None);
}

#[rstest]
#[tokio::test]
async fn what_the_process_says_of_itself_is_taken_with_the_renewal(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let request = RenewalsRequest {
        instance_id: agent.instance_id.clone(),
        lease_seconds: None,
        claims: Vec::new(),
        state: Some("draining".to_owned()),
        report: Some(report()),
    };
    agent.client.renew(agent.id, &request).await.unwrap();
    let shown = broker.admin().agent(agent.id).await.unwrap();
    assert!(shown.last_heartbeat.is_some());
    assert_eq!(shown.state.as_deref(), Some("draining"));
    assert_eq!(
        (shown.report, shown.reported_at),
        (Some(report()), shown.last_heartbeat)
    );
}

#[rstest]
#[tokio::test]
async fn what_another_agent_renews_at_the_same_time_is_still_lost_for_who_does_not_hold_it(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let (holder, stranger) = (broker.agent().await, broker.agent().await);
    let claim = claimed(&broker, &holder).await;
    let mut lock = broker.db().begin().await.unwrap();
    work_orders::get_for_update(&mut lock, &[WorkOrderId::new(claim.id)])
        .await
        .unwrap();
    let renew = |agent: &TestAgent| {
        let (pak, path, body) = (agent.pak.clone(), path(agent), body(&claim));
        let broker = &broker;
        async move { post(broker, &pak, &path, body).await }
    };

    // The first one waits for the lock, the others gather behind it and are done together.
    let gathered = async {
        sleep(SECOND / 5).await;
        let both = async { tokio::join!(renew(&holder), renew(&stranger)) };
        let unlock = async {
            sleep(SECOND / 5).await;
            drop(lock);
        };
        tokio::join!(both, unlock).0
    };
    let (_, (held, lost)) = tokio::join!(renew(&holder), gathered);

    assert_eq!(held.json()["renewed"][0]["id"], json!(claim.id));
    assert_eq!(
        lost.json()["lost"],
        json!([{"id": claim.id, "attempt": 1, "code": "stale_attempt"}])
    );
}
