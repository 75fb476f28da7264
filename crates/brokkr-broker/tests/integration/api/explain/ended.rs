//! Orders that ended, and what is said about that.

use brokkr_api::{Complete, FailureClass};
use brokkr_testkit::{Backend, LEASE, TestBroker};
use rstest::rstest;

use super::{MINUTE, SECOND, about, codes, explain, ready, why};

#[rstest]
#[tokio::test]
async fn an_order_that_failed_for_good_says_why_it_is_not_tried_again_and_what_was_tried(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = ready(&broker).await;
    let order = broker.work_order().for_agent(&agent).max_retries(1);
    let order = order
        .backoff_seconds(0)
        .retry_on([FailureClass::Work])
        .create()
        .await;
    for _ in 0..2 {
        let claim = agent.claim(&order).await.unwrap();
        let report = Complete {
            message: Some("exit 7".to_owned()),
            class: Some(FailureClass::Work),
            exit_code: Some(7),
            ..Complete::default()
        };
        agent.complete(&claim, report).await.unwrap();
        broker.advance(SECOND).await;
    }
    let again = broker.admin().retry_work_order(order.id).await.unwrap();

    let explanation = explain(&broker, &order).await;

    assert_eq!(codes(&explanation), ["failed"]);
    let reason = &explanation.reasons[0];
    about(reason, &agent);
    assert!(
        reason
            .sentence
            .contains("(class work) with exit code 7: exit 7. Its 1 retries are used up."),
        "{reason:?}"
    );
    assert_eq!(explanation.attempts.len(), 2);
    assert_eq!(explanation.retried_as, [again.id]);
    assert_eq!(explain(&broker, &again).await.retry_of, Some(order.id));
}

#[rstest]
#[tokio::test]
async fn an_order_that_was_refused_says_what_refused_it(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = ready(&broker).await;
    let order = broker.work_order().for_agent(&agent).create().await;
    let claim = agent.claim(&order).await.unwrap();
    let report = Complete {
        message: Some("the policy does not allow the namespace kube-system".to_owned()),
        class: Some(FailureClass::Refused),
        ..Complete::default()
    };
    agent.complete(&claim, report).await.unwrap();

    let reason = why(&broker, &order, "failed").await;

    assert!(
        reason
            .sentence
            .contains("kube-system. A failure of the class refused is never tried again."),
        "{reason:?}"
    );
}

#[rstest]
#[tokio::test]
async fn an_order_that_must_not_run_twice_and_was_lost_says_so(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = ready(&broker).await;
    let order = broker
        .work_order()
        .for_agent(&agent)
        .at_most_once()
        .create()
        .await;
    agent.claim_next(1).await.unwrap();
    broker.advance(LEASE + SECOND).await;

    let reason = why(&broker, &order, "lost").await;

    about(&reason, &agent);
    assert!(
        reason.sentence.contains("at_most_once") && reason.sentence.contains("The lease passed"),
        "{reason:?}"
    );
}

#[rstest]
#[tokio::test]
async fn an_order_that_nobody_started_in_time_says_so(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let order = broker
        .work_order()
        .label("gpu")
        .start_by_seconds(60)
        .create()
        .await;
    broker.advance(MINUTE + SECOND).await;
    why(&broker, &order, "expired").await;
}
