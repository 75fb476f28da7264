use brokkr_api::{CancelRequested, Lost, Renewed};

use super::*;

const LEASE: i64 = 30;

fn claim(attempt: i64) -> Claim {
    Claim {
        agent: Uuid::nil(),
        id: AttemptId {
            order: Uuid::nil(),
            attempt,
        },
        work_type: "command".to_owned(),
        document: String::new(),
        deadline_seconds: None,
        lease_seconds_max: 3600,
        lost_attempts: Vec::new(),
        traceparent: None,
    }
}

fn answer(renewed: &[i64], lost: &[i64], cancel: &[i64]) -> Renewals {
    let (id, lease_expires_at) = (Uuid::nil(), brokkr_api::Time::from_micros(0));
    Renewals {
        renewed: renewed
            .iter()
            .map(|attempt| Renewed {
                id,
                attempt: *attempt,
                lease_expires_at,
            })
            .collect(),
        lost: lost
            .iter()
            .map(|attempt| Lost {
                id,
                attempt: *attempt,
                code: "stale_attempt".to_owned(),
            })
            .collect(),
        cancel: cancel
            .iter()
            .map(|attempt| CancelRequested {
                id,
                attempt: *attempt,
                reason: None,
            })
            .collect(),
    }
}

#[tokio::test]
async fn an_answer_reaches_exactly_the_attempts_it_names() {
    let held = Held::new();
    let now = Instant::now();
    let (_a, kept) = held.hold(&claim(1), now, LEASE).unwrap();
    let (_b, lost) = held.hold(&claim(2), now, LEASE).unwrap();
    let (_c, cancelled) = held.hold(&claim(3), now, LEASE).unwrap();
    held.note(now + Duration::from_secs(1), &answer(&[1, 3], &[2], &[3]));
    assert_eq!(
        [kept.reason(), lost.reason(), cancelled.reason()],
        [None, Some(StopReason::LeaseLost), Some(StopReason::Cancelled)]
    );
    let renewed: Vec<_> = held.to_renew().iter().map(|claim| claim.attempt).collect();
    assert_eq!(
        renewed,
        [1, 3],
        "what is being cancelled is still held, what is lost is not"
    );
}

#[tokio::test]
async fn work_is_stopped_well_before_its_lease_ends() {
    let held = Held::new();
    let now = Instant::now();
    let (_hold, stop) = held.hold(&claim(1), now, LEASE).unwrap();
    assert_eq!(held.due_at(), Some(now + Duration::from_secs(10)));
    assert_eq!(
        held.give_up(now + Duration::from_secs(19)),
        Some(now + Duration::from_secs(20))
    );
    assert_eq!(stop.reason(), None);
    held.give_up(now + Duration::from_secs(20));
    assert_eq!(stop.reason(), Some(StopReason::LeaseLost));
}

#[tokio::test]
async fn a_renewal_counts_from_before_its_request() {
    let held = Held::new();
    let now = Instant::now();
    let (_hold, _stop) = held.hold(&claim(1), now, LEASE).unwrap();
    held.note(now + Duration::from_secs(5), &answer(&[1], &[], &[]));
    assert_eq!(held.give_up(now), Some(now + Duration::from_secs(25)));
}

#[tokio::test]
async fn a_lost_attempt_cannot_be_won_back() {
    let held = Held::new();
    let now = Instant::now();
    let (_hold, _stop) = held.hold(&claim(1), now, LEASE).unwrap();
    held.give_up(now + Duration::from_secs(60));
    held.note(now + Duration::from_secs(61), &answer(&[1], &[], &[]));
    assert!(held.to_renew().is_empty());
}

#[tokio::test]
async fn the_order_may_ask_for_a_shorter_lease() {
    let short = Claim {
        lease_seconds_max: 6,
        ..claim(1)
    };
    assert_eq!(lease(&short, LEASE), Duration::from_secs(6));
    assert_eq!(lease(&claim(1), LEASE), Duration::from_secs(30));
}

#[tokio::test]
async fn what_is_dropped_is_held_no_more() {
    let held = Held::new();
    let (hold, _stop) = held.hold(&claim(1), Instant::now(), LEASE).unwrap();
    assert!(held.hold(&claim(1), Instant::now(), LEASE).is_none());
    assert!(held.contains(claim(1).id));
    drop(hold);
    assert_eq!(held.count(), 0);
}
