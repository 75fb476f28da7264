//! Claims, of one order and of the next ones: what an agent gets, and in which order.

use brokkr_broker::dal::agents::{self, AgentChanges, AgentStatus};
use brokkr_broker::dal::claims::{self, ClaimNext};
use brokkr_broker::dal::work_orders::NewOrder;
use brokkr_broker::dal::{agent_labels, routes};
use brokkr_core::ids::WorkOrderId;
use brokkr_core::life::{Event, State};
use brokkr_core::limits::{ClaimMax, ClaimTimeoutSeconds, Priority};
use brokkr_core::names::Label;
use brokkr_core::routing::{Route, Targeting};
use brokkr_testkit::Backend::{self, Postgres, Sqlite};
use rstest::rstest;

use super::queue::{
    INSTANCE, Queue, agent, for_agents, for_annotation, for_label, id, lease, numbers, order, start_by,
    work_type,
};
use super::samples::{agent_id, at};

fn of_priority(priority: i64, number: u64) -> NewOrder {
    NewOrder {
        priority: Priority::new(priority).unwrap(),
        ..order(number)
    }
}

fn of_type(word: &str, number: u64) -> NewOrder {
    NewOrder {
        work_type: work_type(word),
        ..order(number)
    }
}

fn for_whom(targeting: Targeting, number: u64) -> NewOrder {
    NewOrder {
        targeting,
        ..order(number)
    }
}

#[rstest]
#[tokio::test]
async fn a_claim_by_id_holds_for_the_orders_claim_timeout(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    queue.add([order(1)]).await;

    let claimed = queue.claim_by_id(1, 1).await.unwrap();

    let claim = claimed.head.claim.as_ref().unwrap();
    assert_eq!(
        (claim.agent, claim.claimed_at, claim.lease_expires_at),
        (agent(), at(10), at(3_610))
    );
    assert_eq!((claim.instance_id.as_deref(), &claim.cancel), (None, &None));
    assert_eq!(
        (claimed.head.attempt().number(), claimed.head.updated_at),
        (1, at(10))
    );
    assert_eq!(queue.get(1).await, Some(claimed));
}

#[rstest]
#[tokio::test]
async fn an_order_is_claimed_once(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    queue
        .add([NewOrder {
            targeting: for_agents(&[1, 2]),
            ..order(1)
        }])
        .await;

    assert!(queue.claim_by_id(1, 1).await.is_some());

    assert_eq!(queue.claim_by_id(2, 1).await, None);
    assert_eq!(queue.claim_by_id(1, 1).await, None);
    assert_eq!(queue.claim(2, 9, &[]).await, []);
}

#[rstest]
#[tokio::test]
async fn an_order_for_others_or_for_nobody_cannot_be_claimed(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    queue.add([order(1)]).await;

    assert_eq!(queue.claim_by_id(2, 1).await, None);
    assert_eq!(queue.claim_by_id(1, 7).await, None, "there is no such order");
    assert_eq!(queue.claim_by_id(77, 1).await, None, "there is no such agent");
    assert_eq!(queue.life(1).await.state, State::Pending);
}

#[rstest]
#[tokio::test]
async fn an_order_that_is_past_its_start_by_cannot_be_claimed(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    queue.add([start_by(9, order(1)), start_by(10, order(2))]).await;

    assert_eq!(queue.claim_by_id(1, 1).await, None);
    assert_eq!(numbers(&queue.claim(1, 9, &[]).await), [2]);
}

#[rstest]
#[tokio::test]
async fn higher_priorities_come_first_and_then_older_orders(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    queue
        .add([
            order(1),
            of_priority(-100, 2),
            of_priority(100, 3),
            order(4),
            of_priority(100, 5),
            of_priority(1, 6),
        ])
        .await;

    assert_eq!(numbers(&queue.claim(1, 4, &[]).await), [3, 5, 6, 1]);
    assert_eq!(numbers(&queue.claim(1, 4, &[]).await), [4, 2]);
}

#[rstest]
#[tokio::test]
async fn every_kind_of_route_leads_to_the_agent(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    let targetings = [
        for_agents(&[1]),
        for_label("gpu"),
        for_annotation("zone", "eu"),
        for_agents(&[2]),
        for_label("GPU"),
        for_annotation("zone", "us"),
        for_annotation("gpu", "eu"),
    ];
    queue
        .add(
            (1..)
                .zip(targetings)
                .map(|(number, targeting)| for_whom(targeting, number)),
        )
        .await;

    assert_eq!(numbers(&queue.claim(1, 100, &[]).await), [1, 2, 3]);
    assert_eq!(numbers(&queue.claim(2, 100, &[]).await), [4]);
    assert_eq!(numbers(&queue.claim(3, 100, &[]).await), [0; 0]);
}

#[rstest]
#[tokio::test]
async fn an_order_found_on_several_routes_is_claimed_once(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    let broad = Targeting::new(
        vec![agent_id(1), agent_id(2)],
        for_label("gpu").labels().to_vec(),
        for_annotation("zone", "eu").annotations().to_vec(),
        9,
    )
    .unwrap();
    queue
        .add((1..=4).map(|number| for_whom(broad.clone(), number)))
        .await;

    let claimed = queue.claim(1, 3, &[]).await;

    assert_eq!(numbers(&claimed), [1, 2, 3]);
    assert!(claimed.iter().all(|order| order.head.attempt().number() == 1));
    assert_eq!(numbers(&queue.claim(2, 3, &[]).await), [4]);
}

#[rstest]
#[tokio::test]
async fn only_wanted_types_are_claimed_and_no_other_stands_in_their_way(
    #[values(Postgres, Sqlite)] backend: Backend,
) {
    let queue = Queue::start(backend).await;
    queue.add((1..=20).map(|number| of_type("custom", number))).await;
    queue
        .add([of_type("build", 21), of_type("command", 22), of_type("build", 23)])
        .await;

    assert_eq!(numbers(&queue.claim(1, 2, &["build"]).await), [21, 23]);
    assert_eq!(
        numbers(&queue.claim(1, 2, &["build", "command", "command"]).await),
        [22]
    );
    assert_eq!(numbers(&queue.claim(1, 2, &[]).await), [1, 2]);
}

#[rstest]
#[tokio::test]
async fn an_agent_gets_no_more_than_it_asks_for(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    queue.add((1..=150).map(order)).await;

    assert_eq!(queue.claim(1, 1, &[]).await.len(), 1);
    assert_eq!(queue.claim(1, 100, &[]).await.len(), 100);
    assert_eq!(queue.claim(1, 100, &[]).await.len(), 49);
    assert_eq!(queue.claim(1, 100, &[]).await.len(), 0);
}

#[rstest]
#[tokio::test]
async fn a_lease_is_the_smaller_of_what_is_asked_for_and_the_claim_timeout(
    #[values(Postgres, Sqlite)] backend: Backend,
) {
    let queue = Queue::start(backend).await;
    let short = NewOrder {
        claim_timeout_seconds: ClaimTimeoutSeconds::new(12).unwrap(),
        ..order(1)
    };
    queue.add([short, order(2)]).await;

    let leases: Vec<_> = queue
        .claim(1, 2, &[])
        .await
        .into_iter()
        .map(|order| order.head.claim.unwrap().lease_expires_at)
        .collect();

    assert_eq!(leases, [at(22), at(40)]);
}

#[rstest]
#[tokio::test]
async fn a_claim_tells_who_holds_the_order(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;

    let claimed = queue.claimed(1).await.remove(0);

    let claim = claimed.head.claim.as_ref().unwrap();
    assert_eq!(
        (claim.agent, claim.instance_id.as_deref()),
        (agent(), Some(INSTANCE))
    );
    assert_eq!((claim.claimed_at, claimed.head.updated_at), (at(10), at(10)));
    assert_eq!(queue.get(1).await, Some(claimed));
}

#[rstest]
#[tokio::test]
async fn an_inactive_or_deleted_agent_claims_nothing(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    queue.add([for_whom(for_agents(&[1, 2]), 1)]).await;
    let paused = AgentChanges {
        status: Some(AgentStatus::Inactive),
        ..AgentChanges::default()
    };
    queue
        .write(async |tx| {
            agents::update(tx, agent_id(1), &paused, at(5)).await.unwrap();
            agents::soft_delete(tx, agent_id(2), at(5)).await.unwrap();
        })
        .await;

    for number in [1, 2, 77] {
        assert_eq!(queue.claim(number, 9, &[]).await, []);
        assert_eq!(queue.claim_by_id(number, 1).await, None);
    }
}

#[rstest]
#[tokio::test]
async fn a_label_that_was_taken_away_leads_nowhere(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    queue.add([for_whom(for_label("gpu"), 1)]).await;
    let gpu = Label::parse("gpu").unwrap();
    queue
        .write(async |tx| agent_labels::remove(tx, agent_id(1), &gpu).await.unwrap())
        .await;

    assert_eq!(queue.claim(1, 9, &[]).await, []);
    assert_eq!(numbers(&queue.claim(2, 9, &[]).await), [1]);
}

#[rstest]
#[tokio::test]
async fn keys_and_values_with_signs_of_their_own_still_match(#[values(Postgres, Sqlite)] backend: Backend) {
    use brokkr_broker::dal::agent_annotations::{self, AgentAnnotation};
    let queue = Queue::start(backend).await;
    let targeting = for_annotation("a=b%3D", "c=%:ä");
    let (key, value) = targeting.annotations()[0].clone();
    let annotation = AgentAnnotation {
        id: uuid::Uuid::from_u128(9).into(),
        agent_id: agent_id(3),
        key,
        value,
    };
    queue
        .write(async |tx| agent_annotations::add(tx, &annotation).await.unwrap())
        .await;
    queue.add([for_whom(targeting, 1)]).await;

    assert_eq!(numbers(&queue.claim(3, 9, &[]).await), [1]);
}

#[rstest]
#[tokio::test]
async fn a_claim_takes_few_statements_however_much_it_takes(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    queue.add((1..=50).map(order)).await;
    let mut tx = queue.db.begin().await.unwrap();
    let before = queue.db.statements_sent();
    let claim = ClaimNext {
        agent: agent(),
        instance_id: INSTANCE,
        work_types: &[],
        max: ClaimMax::new(50).unwrap(),
        lease_seconds: lease(),
        now: at(10),
    };

    let claimed = claims::claim_next(&mut tx, claim).await.unwrap();

    assert_eq!(claimed.len(), 50);
    assert!(queue.db.statements_sent() - before <= 4);
}

#[rstest]
#[tokio::test]
async fn an_agent_is_told_what_it_holds_page_by_page(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    queue.claimed(3).await;
    queue.add([for_whom(for_agents(&[2]), 4)]).await;
    queue.claim(2, 1, &[]).await;
    queue.apply(1, Event::Cancel).await.unwrap();
    let held = async |number, after: Option<WorkOrderId>| {
        queue
            .read(async |tx| claims::held(tx, agent_id(number), after, 2).await.unwrap())
            .await
    };

    assert_eq!(numbers(&held(1, None).await), [1, 2]);
    assert_eq!(numbers(&held(1, Some(id(2))).await), [3]);
    assert_eq!(numbers(&held(2, None).await), [4]);
    assert_eq!(numbers(&held(3, None).await), [0; 0]);
}

#[rstest]
#[tokio::test]
async fn what_a_removed_agent_held_is_found_to_be_taken_back(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    queue.claimed(3).await;

    let held = queue
        .write(async |tx| claims::held_for_update(tx, agent(), 2).await.unwrap())
        .await;

    assert_eq!(
        held.iter().map(|head| head.id).collect::<Vec<_>>(),
        [id(1), id(2)]
    );
}

#[rstest]
#[tokio::test]
async fn one_query_tells_which_of_many_routes_have_work(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    queue
        .add([of_type("build", 1), for_whom(for_label("gpu"), 2)])
        .await;
    queue.claim_by_id(2, 2).await.unwrap();
    let mine = Route::agent(agent());
    let gpu = Route::label(&Label::parse("gpu").unwrap());
    let listening = [
        (mine.clone(), None),
        (mine.clone(), Some(work_type("build"))),
        (mine.clone(), Some(work_type("command"))),
        (gpu, None),
    ];

    let waiting = queue
        .read(async |tx| routes::waiting(tx, &listening).await.unwrap())
        .await;

    assert_eq!(waiting, [(mine.clone(), None), (mine, Some(work_type("build")))]);
}
