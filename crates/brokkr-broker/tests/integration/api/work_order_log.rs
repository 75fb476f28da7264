//! The work-order log.

use std::time::Duration;

use brokkr_api::{Complete, ListLog};
use brokkr_testkit::{Backend, TestBroker};
use rstest::rstest;

use super::refusals::code;

#[rstest]
#[tokio::test]
async fn the_log_is_listed_latest_ending_first_and_by_type_success_and_agent(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let (one, other) = (broker.agent().await, broker.agent().await);
    let mut ids = Vec::new();
    for (agent, work_type, success) in [
        (&one, "command", true),
        (&other, "build", false),
        (&one, "build", true),
    ] {
        let order = broker
            .work_order()
            .for_agent(agent)
            .work_type(work_type)
            .create()
            .await;
        let claim = agent.claim(&order).await.unwrap();
        agent
            .complete(
                &claim,
                Complete {
                    success,
                    retryable: Some(false),
                    ..Complete::default()
                },
            )
            .await
            .unwrap();
        broker.advance(Duration::from_secs(1)).await;
        ids.push(order.id);
    }
    let listed = async |query: ListLog| -> Vec<_> {
        broker
            .admin()
            .work_order_log(&query)
            .await
            .unwrap()
            .items
            .iter()
            .map(|entry| entry.id)
            .collect()
    };
    assert_eq!(listed(ListLog::default()).await, [ids[2], ids[1], ids[0]]);
    let builds = ListLog {
        work_type: Some("build".to_owned()),
        ..ListLog::default()
    };
    assert_eq!(listed(builds).await, [ids[2], ids[1]]);
    assert_eq!(
        listed(ListLog {
            success: Some(false),
            ..ListLog::default()
        })
        .await,
        [ids[1]]
    );
    assert_eq!(
        listed(ListLog {
            agent_id: Some(one.id),
            ..ListLog::default()
        })
        .await,
        [ids[2], ids[0]]
    );
    assert_eq!(
        code(broker.admin().work_order_log_entry(one.id).await),
        "work_order_log_entry_not_found"
    );
}

#[rstest]
#[tokio::test]
async fn orders_that_lost_an_attempt_are_found_however_they_ended(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let order = || broker.work_order().for_agent(&agent).claim_timeout_seconds(60);
    let again = order().create().await;
    let once = order().at_most_once().create().await;
    agent.claim(&again).await.unwrap();
    agent.claim(&once).await.unwrap();
    broker.advance(Duration::from_secs(61)).await;
    let calm = order().create().await;
    for order in [&again, &calm] {
        agent.succeed(&agent.claim(order).await.unwrap()).await.unwrap();
    }
    let listed = async |lost_attempt, success| {
        let query = ListLog {
            lost_attempt,
            success,
            ..ListLog::default()
        };
        let page = broker.admin().work_order_log(&query).await.unwrap();
        let mut ids: Vec<_> = page.items.iter().map(|entry| entry.id).collect();
        ids.sort_unstable();
        ids
    };
    assert_eq!(listed(Some(true), None).await, [again.id, once.id]);
    assert_eq!(listed(Some(true), Some(true)).await, [again.id]);
    assert_eq!(listed(Some(false), None).await, [calm.id]);
    assert_eq!(listed(None, None).await, [again.id, once.id, calm.id]);
}
