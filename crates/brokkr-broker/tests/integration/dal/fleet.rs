//! The agents as seen from one order.

use brokkr_broker::dal::agents::{self, AgentChanges, AgentStatus, Heartbeat};
use brokkr_broker::dal::{DalError, Tx, fleet};
use brokkr_core::explain::Term;
use brokkr_core::ids::AgentId;
use brokkr_core::names::{AnnotationKey, AnnotationValue, Label};
use brokkr_core::routing::Targeting;
use brokkr_testkit::Backend::{self, Postgres, Sqlite};
use rstest::rstest;

use super::queue::{Queue, id};
use super::samples::{agent_id, at};

fn targets(agents: &[u128], labels: &[&str], annotations: &[(&str, &str)]) -> Targeting {
    let labels = labels.iter().map(|label| Label::parse(*label).unwrap());
    let annotations = annotations.iter().map(|(key, value)| {
        let key = AnnotationKey::parse(*key).unwrap();
        (key, AnnotationValue::parse(*value).unwrap())
    });
    let agents = agents.iter().map(|number| agent_id(*number)).collect();
    Targeting::new(agents, labels.collect(), annotations.collect(), 9).unwrap()
}

async fn matching(queue: &Queue, targeting: &Targeting, limit: u32) -> (Vec<AgentId>, u64) {
    let (agents, total) = queue
        .read(async |tx| fleet::matching(tx, targeting, limit).await.unwrap())
        .await;
    (agents.into_iter().map(|agent| agent.id).collect(), total)
}

async fn heard(tx: &mut Tx, number: u128, seconds: u64) {
    let heartbeat = Heartbeat {
        agent: agent_id(number),
        at: at(seconds),
        k8s_reachable: None,
        k8s_api_latency_ms: None,
        state: None,
        report: None,
    };
    agents::heartbeats(tx, &[heartbeat]).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn an_agent_matches_by_its_id_a_label_or_an_annotation_and_is_counted_once(
    #[values(Postgres, Sqlite)] backend: Backend,
) {
    let queue = Queue::start(backend).await;
    let found = async |agents: &[u128], labels: &[&str], annotations: &[(&str, &str)]| {
        matching(&queue, &targets(agents, labels, annotations), 9).await
    };
    assert_eq!(found(&[3], &[], &[]).await, (vec![agent_id(3)], 1));
    assert_eq!(
        found(&[], &["gpu"], &[]).await,
        (vec![agent_id(1), agent_id(2)], 2)
    );
    assert_eq!(found(&[], &[], &[("zone", "eu")]).await, (vec![agent_id(1)], 1));
    assert_eq!(
        found(&[1], &["gpu", "none"], &[("zone", "eu")]).await,
        (vec![agent_id(1), agent_id(2)], 2)
    );
    assert_eq!(found(&[9], &["none"], &[("zone", "us")]).await, (vec![], 0));
}

#[rstest]
#[tokio::test]
async fn of_many_that_match_those_come_first_that_are_active_and_were_heard_last(
    #[values(Postgres, Sqlite)] backend: Backend,
) {
    let queue = Queue::start(backend).await;
    let pause = AgentChanges {
        status: Some(AgentStatus::Inactive),
        ..AgentChanges::default()
    };
    queue
        .write(async |tx| {
            for (number, seconds) in [(1, 90), (2, 10), (3, 20)] {
                heard(tx, number, seconds).await;
            }
            agents::update(tx, agent_id(1), &pause, at(91)).await.unwrap();
        })
        .await;
    let all = targets(&[1, 2, 3, 4], &[], &[]);
    let order = [3, 2, 4, 1].map(agent_id);
    assert_eq!(matching(&queue, &all, 9).await, (order.to_vec(), 4));
    assert_eq!(matching(&queue, &all, 2).await, (order[..2].to_vec(), 4));
}

#[rstest]
#[tokio::test]
async fn a_deleted_agent_does_not_match_and_is_found_by_its_id(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    queue
        .write(async |tx| agents::soft_delete(tx, agent_id(1), at(5)).await.unwrap())
        .await;
    let all = targets(&[1], &["gpu"], &[("zone", "eu")]);
    assert_eq!(matching(&queue, &all, 9).await, (vec![agent_id(2)], 1));
    let (count, deleted, terms) = queue
        .read(async |tx| {
            let deleted = fleet::of_ids(tx, [agent_id(1), agent_id(9)]).await?;
            Ok::<_, DalError>((fleet::count(tx).await?, deleted, fleet::terms(tx, 9).await?))
        })
        .await
        .unwrap();
    assert_eq!(count, 3);
    assert_eq!(deleted.len(), 1);
    assert_eq!(deleted[0].deleted_at, Some(at(5)));
    let gpu = Term::Label(Label::parse("gpu").unwrap());
    assert_eq!(terms, [(agent_id(2), "agent 2/here".to_owned(), gpu)]);
}

#[rstest]
#[tokio::test]
async fn what_agents_hold_is_counted_by_type_with_the_oldest_order(
    #[values(Postgres, Sqlite)] backend: Backend,
) {
    let queue = Queue::start(backend).await;
    let claimed = queue.claimed(3).await;
    let held = queue
        .read(async |tx| fleet::held(tx, [agent_id(1), agent_id(2)]).await.unwrap())
        .await;
    assert_eq!(held.len(), 1, "who holds nothing is not in the answer");
    let [of_type] = held[&agent_id(1)].as_slice() else {
        panic!("{held:?}");
    };
    assert_eq!((of_type.orders, of_type.oldest), (3, id(1)));
    assert_eq!(of_type.work_type, claimed[0].head.work_type);
    let latest = claimed[2].head.claim.as_ref().map(|claim| claim.claimed_at);
    assert_eq!(Some(of_type.latest_claimed_at), latest);
}
