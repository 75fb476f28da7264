//! How attempts and orders end.

use std::time::Duration;

use brokkr_api::{
    AttemptEnding, Complete, Ending, EndingItem, EndingsRequest, FailureClass, WorkOrder, WorkOrderStatus,
};
use brokkr_client::CompleteOutcome;
use brokkr_testkit::{Backend, LEASE, TestAgent, TestBroker};
use rstest::rstest;
use serde_json::json;

use super::call::{post, refusal, refused};
use super::refusals::code;

pub(crate) async fn claimed(broker: &TestBroker, agent: &TestAgent) -> WorkOrder {
    broker.work_order().for_agent(agent).create().await;
    agent.claim_one().await
}

fn report(claim: &WorkOrder, success: bool) -> EndingItem {
    EndingItem {
        id: claim.id,
        attempt: claim.attempt,
        success,
        message: None,
        class: None,
        retryable: None,
        exit_code: None,
        result: None,
    }
}

async fn complete(
    broker: &TestBroker,
    pak: &brokkr_api::PakText,
    claim: &WorkOrder,
    body: serde_json::Value,
) -> brokkr_testkit::Answer {
    post(
        broker,
        pak,
        &format!("/api/v1/work-orders/{}/complete", claim.id),
        body,
    )
    .await
}

#[rstest]
#[tokio::test]
async fn a_success_goes_to_the_log_with_everything_that_was_reported(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let claim = claimed(&broker, &agent).await;
    broker.advance(Duration::from_secs(5)).await;
    let report = Complete {
        success: true,
        message: Some("done".to_owned()),
        exit_code: Some(0),
        result: Some(json!({"rows": [1, 2]})),
        class: Some(FailureClass::Work),
        ..Complete::default()
    };
    let CompleteOutcome::Ended(entry) = agent.complete(&claim, report).await.unwrap() else {
        panic!("it ended")
    };

    assert_eq!(
        (entry.ending, entry.success, entry.attempt),
        (Ending::Succeeded, true, 1)
    );
    assert_eq!(
        (entry.result_message.as_deref(), entry.exit_code),
        (Some("done"), Some(0))
    );
    assert_eq!(
        (entry.result.clone(), entry.class),
        (Some(json!({"rows": [1, 2]})), None)
    );
    assert_eq!(
        (entry.claimed_by, entry.claimed_at),
        (Some(agent.id), claim.claimed_at)
    );
    assert_eq!(entry.completed_at.to_string(), broker.now().to_string());
    assert_eq!(
        broker.admin().work_order_log_entry(claim.id).await.unwrap(),
        *entry
    );
}

#[rstest]
#[tokio::test]
async fn a_failure_is_tried_again_with_a_growing_pause_until_no_retry_is_left(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let order = broker
        .work_order()
        .for_agent(&agent)
        .max_retries(2)
        .retry_on([FailureClass::Work])
        .backoff_seconds(10)
        .create()
        .await;
    for (retry, pause) in [(1, 20), (2, 40)] {
        let claim = agent.claim(&order).await.unwrap();
        let outcome = agent.fail(&claim, FailureClass::Work).await.unwrap();
        assert_eq!(outcome, CompleteOutcome::RetryScheduled);
        let waiting = broker.admin().work_order(order.id).await.unwrap();
        assert_eq!(
            (waiting.status, waiting.retry_count),
            (WorkOrderStatus::RetryPending, retry)
        );
        assert_eq!(
            waiting.next_retry_after.unwrap().to_string(),
            broker.now().plus_seconds(pause).to_string()
        );
        assert_eq!(waiting.last_error.as_deref(), Some("failed: work"));
        assert_eq!((waiting.claimed_by, waiting.lease_expires_at), (None, None));
        broker.advance(Duration::from_secs(pause - 1)).await;
        assert_eq!(code(agent.claim(&order).await), "work_order_not_claimable");
        broker.advance(Duration::from_secs(1)).await;
        let due = broker.admin().work_order(order.id).await.unwrap();
        assert_eq!(
            (due.status, due.next_retry_after),
            (WorkOrderStatus::Pending, None)
        );
        assert!(due.last_error.is_some());
    }
    let claim = agent.claim(&order).await.unwrap();
    let CompleteOutcome::Ended(entry) = agent.fail(&claim, FailureClass::Work).await.unwrap() else {
        panic!("no retry is left")
    };
    assert_eq!(
        (entry.ending, entry.retries_attempted, entry.attempt),
        (Ending::Failed, 2, 3)
    );
    let endings: Vec<_> = broker
        .admin()
        .attempts(order.id)
        .await
        .unwrap()
        .iter()
        .map(|a| a.ending)
        .collect();
    assert_eq!(endings, [Some(AttemptEnding::Failed); 3]);
}

#[rstest]
#[case(json!({"success": false}), 202)]
#[case(json!({"success": false, "retryable": true, "class": "work"}), 202)]
#[case(json!({"success": false, "retryable": false, "class": "infrastructure"}), 200)]
#[case(json!({"success": false, "retryable": true, "class": "refused"}), 200)]
#[case(json!({"success": false, "class": "infrastructure"}), 202)]
#[case(json!({"success": false, "class": "work"}), 200)]
#[case(json!({"success": false, "class": "refused"}), 200)]
#[case(json!({"success": false, "class": "deadline"}), 200)]
#[tokio::test]
async fn whether_a_failure_is_tried_again_is_said_or_follows_from_its_class(
    #[case] body: serde_json::Value,
    #[case] status: u16,
) {
    let broker = TestBroker::start(Backend::Sqlite).await;
    let agent = broker.agent().await;
    let claim = claimed(&broker, &agent).await;
    let answer = complete(&broker, &agent.pak, &claim, body).await;
    assert_eq!(answer.status, status);
    if status == 202 {
        assert_eq!(answer.json(), json!({"status": "retry_scheduled"}));
    }
}

#[rstest]
#[tokio::test]
async fn an_order_may_ask_for_retries_of_its_own_failures(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let order = broker
        .work_order()
        .for_agent(&agent)
        .retry_on([FailureClass::Work])
        .create()
        .await;
    let claim = agent.claim(&order).await.unwrap();
    assert_eq!(
        agent.fail(&claim, FailureClass::Work).await.unwrap(),
        CompleteOutcome::RetryScheduled
    );
}

#[rstest]
#[tokio::test]
async fn a_failure_without_words_is_an_unknown_error(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let claim = claimed(&broker, &agent).await;
    complete(&broker, &agent.pak, &claim, json!({"success": false})).await;
    let waiting = broker.admin().work_order(claim.id).await.unwrap();
    assert_eq!(waiting.last_error.as_deref(), Some("Unknown error"));
    assert_eq!(
        waiting.last_error_at.unwrap().to_string(),
        broker.now().to_string()
    );
}

#[rstest]
#[tokio::test]
async fn the_same_report_sent_again_gets_the_same_answer_and_another_one_is_refused(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let claim = claimed(&broker, &agent).await;
    for body in [json!({"success": true, "attempt": 1}), json!({"success": true})] {
        let first = complete(&broker, &agent.pak, &claim, body.clone()).await;
        broker.advance(Duration::from_secs(60)).await;
        let second = complete(&broker, &agent.pak, &claim, body).await;
        assert_eq!((first.status, second.status), (200, 200));
        assert_eq!(first.text, second.text);
    }
    for body in [json!({"success": false, "attempt": 1}), json!({"success": false})] {
        let other = complete(&broker, &agent.pak, &claim, body).await;
        assert_eq!(refusal(&other), refused(409, "work_order_ended"));
    }
    assert_eq!(broker.admin().attempts(claim.id).await.unwrap().len(), 1);
}

#[rstest]
#[tokio::test]
async fn a_failure_that_was_retried_gets_the_same_answer_again_also_later(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let order = broker
        .work_order()
        .for_agent(&agent)
        .backoff_seconds(1)
        .create()
        .await;
    let first = agent.claim(&order).await.unwrap();
    let failed = async || agent.fail(&first, FailureClass::Infrastructure).await;
    assert_eq!(failed().await.unwrap(), CompleteOutcome::RetryScheduled);
    assert_eq!(failed().await.unwrap(), CompleteOutcome::RetryScheduled);
    broker.advance(Duration::from_secs(2)).await;
    let second = agent.claim(&order).await.unwrap();
    assert_eq!(failed().await.unwrap(), CompleteOutcome::RetryScheduled);
    agent.succeed(&second).await.unwrap();
    assert_eq!(failed().await.unwrap(), CompleteOutcome::RetryScheduled);
    assert_eq!(code(agent.succeed(&first).await), "stale_attempt");
}

#[rstest]
#[tokio::test]
async fn an_agent_that_lost_its_lease_cannot_end_the_order(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let (slow, quick) = (broker.agent().await, broker.agent().await);
    broker.work_order().for_agents([&slow, &quick]).create().await;
    let first = slow.claim_one().await;
    broker.advance(LEASE).await;

    assert_eq!(code(slow.succeed(&first).await), "stale_attempt");
    let unnamed = complete(&broker, &slow.pak, &first, json!({"success": true})).await;
    assert_eq!(refusal(&unnamed), refused(403, "work_order_not_claimed_by_agent"));
    let second = quick.claim_next(1).await.unwrap().remove(0);
    assert_eq!((second.work_order.attempt, &*second.lost_attempts), (2, &[1][..]));
    assert_eq!(code(slow.succeed(&first).await), "stale_attempt");
    quick.succeed(&second.work_order).await.unwrap();
    assert_eq!(code(slow.succeed(&first).await), "stale_attempt");
}

#[rstest]
#[tokio::test]
async fn whoever_does_not_hold_the_order_is_told_whether_it_exists_and_no_more(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let (holder, other, generator) = (
        broker.agent().await,
        broker.agent().await,
        broker.generator().await,
    );
    let claim = claimed(&broker, &holder).await;
    let absent = WorkOrder {
        id: uuid::Uuid::from_u128(1),
        ..claim.clone()
    };
    let success = json!({"success": true});
    let refusal_of = async |pak, claim| refusal(&complete(&broker, pak, claim, success.clone()).await);

    assert_eq!(
        refusal_of(&other.pak, &absent).await,
        refused(404, "work_order_not_found")
    );
    assert_eq!(
        refusal_of(&other.pak, &claim).await,
        refused(403, "work_order_not_claimed_by_agent")
    );
    assert_eq!(
        code(other.succeed(&claim).await),
        "work_order_not_claimed_by_agent"
    );
    assert_eq!(
        refusal_of(&generator.pak, &claim).await,
        refused(403, "admin_required")
    );
    assert_eq!(
        refusal_of(&generator.pak, &absent).await,
        refused(403, "admin_required")
    );
    holder.succeed(&claim).await.unwrap();
    assert_eq!(
        refusal_of(&other.pak, &claim).await,
        refused(403, "work_order_not_claimed_by_agent")
    );
}

#[rstest]
#[tokio::test]
async fn an_administrator_may_complete_a_claimed_order_and_no_other(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let order = broker.work_order().for_agent(&agent).create().await;
    let admin = broker.admin_pak();
    let waiting = complete(&broker, admin, &order, json!({"success": true})).await;
    assert_eq!(refusal(&waiting), refused(409, "work_order_not_claimed"));
    let claim = agent.claim(&order).await.unwrap();
    let stale = complete(&broker, admin, &claim, json!({"success": true, "attempt": 9})).await;
    assert_eq!(refusal(&stale), refused(409, "stale_attempt"));
    assert_eq!(
        complete(&broker, admin, &claim, json!({"success": true}))
            .await
            .status,
        200
    );
    assert_eq!(
        complete(&broker, admin, &claim, json!({"success": true}))
            .await
            .status,
        200
    );
    let other = complete(&broker, admin, &claim, json!({"success": false})).await;
    assert_eq!(refusal(&other), refused(409, "work_order_not_claimed"));
}

#[rstest]
#[tokio::test]
async fn of_a_success_and_a_failure_that_race_one_wins(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    for _ in 0..5 {
        let claim = claimed(&broker, &agent).await;
        let (success, failure) = tokio::join!(
            complete(&broker, &agent.pak, &claim, json!({"success": true})),
            complete(
                &broker,
                &agent.pak,
                &claim,
                json!({"success": false, "retryable": false})
            ),
        );
        let mut statuses = [success.status, failure.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409]);
        let entry = broker.admin().work_order_log_entry(claim.id).await.unwrap();
        assert_eq!(entry.success, success.status == 200);
    }
}

#[rstest]
#[tokio::test]
async fn many_endings_are_reported_at_once_and_a_bad_one_fails_no_other(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let (agent, other) = (broker.agent().await, broker.agent().await);
    let mut claims = Vec::new();
    for _ in 0..3 {
        claims.push(claimed(&broker, &agent).await);
    }
    let foreign = claimed(&broker, &other).await;
    let absent = WorkOrder {
        id: uuid::Uuid::from_u128(1),
        ..foreign.clone()
    };
    let stale = WorkOrder {
        attempt: 9,
        ..claims[2].clone()
    };
    let nonsense = EndingItem {
        message: Some("a\0b".to_owned()),
        ..report(&claims[2], true)
    };
    let endings = vec![
        report(&claims[0], true),
        report(&foreign, true),
        EndingItem {
            class: Some(FailureClass::Infrastructure),
            ..report(&claims[1], false)
        },
        report(&absent, true),
        nonsense,
        report(&stale, true),
        report(&claims[0], true),
        report(&claims[0], false),
    ];
    let answer = agent
        .client
        .end(agent.id, &EndingsRequest { endings })
        .await
        .unwrap();

    let told: Vec<_> = answer
        .items
        .iter()
        .map(|item| {
            (
                item.status,
                item.error
                    .as_ref()
                    .map(|error| error.code.as_str())
                    .unwrap_or_default(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (200, ""),
            (403, "work_order_not_claimed_by_agent"),
            (202, ""),
            (404, "work_order_not_found"),
            (400, "invalid_ending"),
            (409, "stale_attempt"),
            (200, ""),
            (409, "stale_attempt"),
        ]
    );
    assert_eq!(answer.items[0].work_order_log, answer.items[6].work_order_log);
    assert_eq!(
        broker.admin().work_order(claims[1].id).await.unwrap().status,
        WorkOrderStatus::RetryPending
    );
    agent.succeed(&claims[2]).await.unwrap();
}

/// An agent that starts again reports what it kept, and what has ended since, in one request.
#[rstest]
#[tokio::test]
async fn a_report_of_an_earlier_attempt_does_not_stand_in_the_way_of_the_current_one(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
    #[values([0, 1], [1, 0])] sequence: [usize; 2],
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let first = claimed(&broker, &agent).await;
    agent.fail(&first, FailureClass::Infrastructure).await.unwrap();
    broker.advance(Duration::from_secs(3_600)).await;
    let second = agent.claim_one().await;
    let kept = EndingItem {
        class: Some(FailureClass::Infrastructure),
        ..report(&first, false)
    };
    let reports = [(kept, 202), (report(&second, true), 200)];

    let (endings, expected): (Vec<_>, Vec<_>) =
        sequence.map(|place| reports[place].clone()).into_iter().unzip();
    let answer = agent
        .client
        .end(agent.id, &EndingsRequest { endings })
        .await
        .unwrap();

    let told: Vec<_> = answer.items.iter().map(|item| item.status).collect();
    assert_eq!(told, expected);
    let entry = broker.admin().work_order_log_entry(first.id).await.unwrap();
    assert_eq!((entry.ending, entry.attempt), (Ending::Succeeded, 2));
}
