//! How a claim is kept.

use brokkr_broker::dal::renewals::{self, Renewed};
use brokkr_broker::dal::work_orders::NewOrder;
use brokkr_core::attempt::Attempt;
use brokkr_core::ids::WorkOrderId;
use brokkr_core::life::Event;
use brokkr_core::limits::ClaimTimeoutSeconds;
use brokkr_core::time::Timestamp;
use brokkr_testkit::Backend::{self, Postgres, Sqlite};
use rstest::rstest;

use super::queue::{INSTANCE, Queue, id, lease, lease_seconds, order, renewing};
use super::samples::{agent_id, at};

const FIRST: Attempt = Attempt::new(1);

async fn renew(
    queue: &Queue,
    agent: u128,
    now: Timestamp,
    claims: &[(WorkOrderId, Attempt)],
) -> Vec<Renewed> {
    let renewal = renewing(agent_id(agent), INSTANCE, lease());
    let renewed = queue
        .write(async |tx| {
            renewals::renew_many(tx, claims.iter().map(renewal), now)
                .await
                .unwrap()
        })
        .await;
    renewed.into_iter().map(|(_, renewed)| renewed).collect()
}

fn leases(renewed: &[Renewed]) -> Vec<(WorkOrderId, Timestamp)> {
    renewed
        .iter()
        .map(|renewed| (renewed.id, renewed.lease_expires_at))
        .collect()
}

#[rstest]
#[tokio::test]
async fn all_claims_of_an_agent_are_renewed_in_one_statement(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    queue.claimed(40).await;
    let claims: Vec<_> = (1..=40).rev().map(|number| (id(number), FIRST)).collect();
    let renewal = renewing(agent_id(1), INSTANCE, lease());
    let now = at(20);
    let mut tx = queue.db.begin().await.unwrap();
    let before = queue.db.statements_sent();

    let renewed = renewals::renew_many(&mut tx, claims.iter().map(renewal), now)
        .await
        .unwrap();
    let renewed: Vec<_> = renewed.into_iter().map(|(_, renewed)| renewed).collect();

    assert_eq!(queue.db.statements_sent() - before, 1);
    assert_eq!(
        leases(&renewed),
        (1..=40).map(|number| (id(number), at(50))).collect::<Vec<_>>()
    );
}

#[rstest]
#[tokio::test]
async fn a_renewal_never_makes_a_lease_shorter(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    queue.claimed(1).await;

    assert_eq!(
        leases(&renew(&queue, 1, at(5), &[(id(1), FIRST)]).await),
        [(id(1), at(40))]
    );
    assert_eq!(
        leases(&renew(&queue, 1, at(11), &[(id(1), FIRST)]).await),
        [(id(1), at(41))]
    );
}

#[rstest]
#[tokio::test]
async fn renewals_go_on_past_the_claim_timeout_though_none_asks_for_more(
    #[values(Postgres, Sqlite)] backend: Backend,
) {
    let queue = Queue::start(backend).await;
    queue
        .add([NewOrder {
            claim_timeout_seconds: ClaimTimeoutSeconds::new(20).unwrap(),
            ..order(1)
        }])
        .await;
    queue.claim(1, 1, &[]).await;

    for now in [25, 40, 55] {
        assert_eq!(
            leases(&renew(&queue, 1, at(now), &[(id(1), FIRST)]).await),
            [(id(1), at(now + 20))]
        );
    }
}

#[rstest]
#[tokio::test]
async fn what_is_not_held_is_not_renewed(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    queue.claimed(4).await;
    queue.apply(1, Event::Release { attempt: FIRST }).await.unwrap();
    queue.apply(2, Event::Succeed { attempt: FIRST }).await.unwrap();
    let claims = [
        (id(1), FIRST),
        (id(2), FIRST),
        (id(3), Attempt::new(2)),
        (id(4), FIRST),
        (id(77), FIRST),
    ];

    assert_eq!(
        leases(&renew(&queue, 1, at(20), &claims).await),
        [(id(4), at(50))]
    );
    assert_eq!(
        renew(&queue, 2, at(20), &claims).await,
        [],
        "another agent holds it"
    );
    assert_eq!(renew(&queue, 1, at(20), &[]).await, []);
}

#[rstest]
#[tokio::test]
async fn an_older_attempt_of_the_same_agent_is_not_renewed(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    queue.claimed(1).await;
    queue.apply(1, Event::HolderRemoved).await.unwrap();
    queue.claim(1, 1, &[]).await;

    let both = [(id(1), FIRST), (id(1), Attempt::new(2))];
    let renewed = renew(&queue, 1, at(20), &both).await;

    assert_eq!(
        renewed
            .iter()
            .map(|renewed| renewed.attempt.number())
            .collect::<Vec<_>>(),
        [2]
    );
}

#[rstest]
#[tokio::test]
async fn a_renewal_tells_of_the_wish_to_cancel(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    queue.claimed(2).await;
    queue.apply(2, Event::Cancel).await.unwrap();

    let renewed = renew(&queue, 1, at(30), &[(id(1), FIRST), (id(2), FIRST)]).await;

    assert_eq!(renewed[0].cancel, None);
    let wish = renewed[1].cancel.as_ref().unwrap();
    assert_eq!(
        (wish.requested_at, wish.reason.as_deref()),
        (at(20), Some("enough"))
    );
}

#[rstest]
#[tokio::test]
async fn a_lease_that_passed_but_was_not_taken_back_can_be_renewed(
    #[values(Postgres, Sqlite)] backend: Backend,
) {
    let queue = Queue::start(backend).await;
    queue.claimed(1).await;

    assert_eq!(
        leases(&renew(&queue, 1, at(500), &[(id(1), FIRST)]).await),
        [(id(1), at(530))]
    );
}

#[rstest]
#[tokio::test]
async fn a_new_process_of_the_agent_takes_the_claim_over(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    queue.claimed(1).await;
    let renewal = renewing(agent_id(1), "process-2", lease_seconds(60));
    let now = at(20);

    queue
        .write(async |tx| {
            renewals::renew_many(tx, [(id(1), FIRST)].iter().map(renewal), now)
                .await
                .unwrap()
        })
        .await;

    let order = queue.get(1).await.unwrap().head;
    let claim = order.claim.unwrap();
    assert_eq!(
        (claim.instance_id.as_deref(), claim.lease_expires_at),
        (Some("process-2"), at(80))
    );
    assert_eq!(
        (claim.claimed_at, order.updated_at),
        (at(10), at(10)),
        "a renewal is no change of the order"
    );
}
