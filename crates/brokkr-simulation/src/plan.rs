//! What a seed stands for: the agents, the orders, what users do, and which faults come when.

use std::time::Duration;

use brokkr_api::{CreateWorkOrder, Delivery, FailureClass, TargetingRequest};
use uuid::Uuid;

use crate::broker::Mine;
use crate::clock::SimulatedClock;
use crate::dice::Dice;
use crate::executor::WORK_TYPE;
use crate::network::Noise;
use crate::seat::Terms;

/// From when on nothing goes wrong any more.
pub(crate) const HEALED_AT: Duration = Duration::from_secs(100);
/// The last faults come early enough to be over then.
const FAULTS_UNTIL_MILLIS: u64 = 75_000;
/// All agents have this label.
pub(crate) const LABEL: &str = "everybody";

/// Where a broker likes to die.
const POINTS: [&str; 8] = [
    "begin",
    "endings.",
    "commit",
    "committed",
    "dispatch.",
    "renewals.",
    "work_orders.",
    "torn",
];

/// Everything that a seed decides before the simulation begins.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) seats: Vec<Terms>,
    pub(crate) noise: Noise,
    pub(crate) orders: Vec<OrderPlan>,
    pub(crate) acts: Vec<(Duration, Act)>,
    pub(crate) faults: Vec<(Duration, Fault)>,
    pub(crate) restoration: Option<RestorationPlan>,
}

/// When the database is backed up, and when brokers are stopped to restore that backup.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RestorationPlan {
    pub(crate) backup_at: Duration,
    pub(crate) begins_at: Duration,
    /// How long after the brokers have stopped: the longest lease, as the documentation says.
    pub(crate) wait: Duration,
}

/// An order, and when it is submitted.
#[derive(Debug, Clone)]
pub(crate) struct OrderPlan {
    pub(crate) at: Duration,
    pub(crate) key: String,
    request: CreateWorkOrder,
    seat: Option<usize>,
}

/// What a user does to the order of this number.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Act {
    Cancel(usize),
    Delete(usize),
    Retry(usize),
}

/// What goes wrong. `seat` is an agent; each lasts for so long.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    Cut { seat: usize, duration: Duration },
    CutUsers { duration: Duration },
    BrokerDies { down: Duration },
    BrokerStops { down: Duration },
    BrokerDiesAt { mine: Mine },
    AgentDies { seat: usize, down: Duration },
    AgentStops { seat: usize, down: Duration },
    HostLost { seat: usize, down: Duration },
    Twin { seat: usize, duration: Duration },
    ClockStep { seat: usize, millis: i64 },
}

impl Plan {
    pub(crate) fn of(seed: &Dice) -> Self {
        let mut dice = seed.of("plan");
        let seats: Vec<_> = (0..dice.within(1..4))
            .map(|_| Terms {
                slots: dice.within(1..4) as usize,
                lease_seconds: dice.within(5..21).cast_signed(),
            })
            .collect();
        let noise = match dice.below(4) {
            0 => Noise::default(),
            _ => Noise {
                lost: dice.below(80),
                repeated: dice.below(60),
                slow: dice.below(60),
            },
        };
        let orders: Vec<_> = (0..dice.within(3..11))
            .map(|number| order(&mut dice, number, seats.len()))
            .collect();
        let acts = (0..dice.below(4)).map(|_| act(&mut dice, orders.len())).collect();
        let faults = (0..dice.within(1..8)).map(|_| fault(&mut dice, &seats)).collect();
        let restoration = restoration(&mut seed.of("restoration"), &seats);
        Self {
            seats,
            noise,
            orders,
            acts,
            faults,
            restoration,
        }
    }
}

impl OrderPlan {
    /// The request, once the agents have ids.
    pub(crate) fn request(&self, agents: &[Uuid]) -> CreateWorkOrder {
        let targeting = match self.seat.and_then(|seat| agents.get(seat)) {
            Some(agent) => TargetingRequest {
                agent_ids: Some(vec![*agent]),
                ..TargetingRequest::default()
            },
            None => TargetingRequest {
                labels: Some(vec![LABEL.to_owned()]),
                ..TargetingRequest::default()
            },
        };
        CreateWorkOrder {
            targeting: Some(targeting),
            ..self.request.clone()
        }
    }
}

/// A quarter of all seeds has one, early enough to be over when everything is healed.
fn restoration(dice: &mut Dice, seats: &[Terms]) -> Option<RestorationPlan> {
    let leases = seats.iter().map(|seat| seat.lease_seconds.unsigned_abs());
    let wait = Duration::from_secs(leases.max().unwrap_or_default() + 1);
    dice.per_mille(250).then(|| {
        let begins_at = dice.millis(10_000..70_000);
        RestorationPlan {
            backup_at: begins_at.mul_f64(dice.within(20..100) as f64 / 100.0),
            begins_at,
            wait,
        }
    })
}

fn order(dice: &mut Dice, number: u64, seats: usize) -> OrderPlan {
    let at = dice.millis(500..60_000);
    let later = |dice: &mut Dice, range| SimulatedClock::at(at + dice.millis(range));
    let start_by = dice.per_mille(100).then(|| later(dice, 5_000..60_000));
    let run_at = dice.per_mille(100).then(|| later(dice, 1_000..20_000));
    let delivery = dice.per_mille(250).then_some(Delivery::AtMostOnce);
    let retry_on = dice
        .per_mille(400)
        .then(|| vec![FailureClass::Infrastructure, FailureClass::Work]);
    OrderPlan {
        at,
        key: format!("order-{number}"),
        request: CreateWorkOrder {
            work_type: WORK_TYPE.to_owned(),
            yaml_content: "a: 1".to_owned(),
            max_retries: Some(dice.below(4).cast_signed()),
            infrastructure_retries_max: Some(dice.below(4).cast_signed()),
            backoff_seconds: Some(dice.below(3).cast_signed()),
            start_by: start_by.filter(|_| run_at.is_none()),
            run_at,
            delivery,
            retry_on,
            ..CreateWorkOrder::default()
        },
        seat: dice.per_mille(500).then(|| dice.below(seats as u64) as usize),
    }
}

fn act(dice: &mut Dice, orders: usize) -> (Duration, Act) {
    let at = dice.millis(2_000..90_000);
    let order = dice.below(orders as u64) as usize;
    let act = match dice.below(10) {
        0..5 => Act::Cancel(order),
        5..7 => Act::Delete(order),
        _ => Act::Retry(order),
    };
    (at, act)
}

fn fault(dice: &mut Dice, seats: &[Terms]) -> (Duration, Fault) {
    let at = dice.millis(3_000..FAULTS_UNTIL_MILLIS);
    let seat = dice.below(seats.len() as u64) as usize;
    let lease_millis = seats[seat].lease_seconds.unsigned_abs() * 1_000;
    let down = dice.millis(50..12_000);
    let fault = match dice.below(16) {
        0..2 => Fault::Cut {
            seat,
            duration: dice.millis(100..lease_millis / 3),
        },
        2..4 => Fault::Cut {
            seat,
            duration: dice.millis(lease_millis..lease_millis + 5_000),
        },
        4 => Fault::CutUsers { duration: down },
        5 => Fault::BrokerDies { down },
        6 => Fault::BrokerStops { down },
        7..10 => Fault::BrokerDiesAt {
            mine: Mine {
                point: dice.pick(&POINTS),
                passed: dice.below(12),
            },
        },
        10..12 => Fault::AgentDies { seat, down },
        12 => Fault::AgentStops { seat, down },
        13 => Fault::HostLost { seat, down },
        14 => Fault::Twin {
            seat,
            duration: dice.millis(500..20_000),
        },
        _ => Fault::ClockStep {
            seat,
            millis: dice.below(7_200_000).cast_signed() - 3_600_000,
        },
    };
    (at, fault)
}
