//! Which faults happen when: all of it follows from the seed.

use std::time::Duration;

use crate::dice::Dice;

/// The purpose of the plan's dice.
const PURPOSE: u64 = 1;

/// How a connection behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weather {
    Clear,
    /// Connections break, and no new one is made.
    Cut,
    /// Nothing gets through; what was on its way arrives when it clears up.
    Stalled,
    /// Questions arrive, and the connection breaks when the answer comes: nobody learns that it was done.
    AnswersLost,
    /// Everything takes this much longer, in each direction.
    Slow(Duration),
}

/// What is done to the world, and undone some time later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    KillBroker(usize),
    PauseBroker(usize),
    KillAgent(usize),
    /// The agent with all its commands and their supervisors, as when its host fails.
    KillHost(usize),
    PauseAgent(usize),
    /// Supervisors of commands die; their agent lives.
    KillSupervisors(usize),
    CrashPostgres,
    AgentLink(usize, Weather),
    DatabaseLink(usize, Weather),
    SubmitterLink(Weather),
}

impl Fault {
    /// Its kind, for the report.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Fault::KillBroker(_) => "broker killed",
            Fault::PauseBroker(_) => "broker stopped and continued",
            Fault::KillAgent(_) => "agent killed",
            Fault::KillHost(_) => "agent killed with its commands",
            Fault::PauseAgent(_) => "agent stopped and continued",
            Fault::KillSupervisors(_) => "supervisors of commands killed",
            Fault::CrashPostgres => "PostgreSQL crashed",
            Fault::AgentLink(..) => "agent cut off, stalled or slowed",
            Fault::DatabaseLink(..) => "broker cut off from PostgreSQL, stalled or slowed",
            Fault::SubmitterLink(_) => "submitter cut off, stalled or slowed",
        }
    }
}

/// A fault with its time, counted from the beginning, and how long it lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Planned {
    pub(crate) at: Duration,
    pub(crate) lasts: Duration,
    pub(crate) fault: Fault,
}

/// All faults of a campaign, in order.
pub(crate) fn plan(seed: u64, length: Duration, brokers: usize, agents: usize) -> Vec<Planned> {
    let mut dice = Dice::new(seed, PURPOSE);
    let mut plan = Vec::new();
    let mut at = dice.millis(500..2_000);
    while at < length {
        plan.push(draw(&mut dice, at, brokers, agents));
        at += dice.millis(300..2_500);
    }
    plan
}

fn draw(dice: &mut Dice, at: Duration, brokers: usize, agents: usize) -> Planned {
    let (broker, agent) = (dice.place(brokers), dice.place(agents));
    let weather = weather(dice);
    let fault = dice.weighted(&[
        (12, Fault::KillBroker(broker)),
        (8, Fault::PauseBroker(broker)),
        (16, Fault::KillAgent(agent)),
        (8, Fault::KillHost(agent)),
        (12, Fault::PauseAgent(agent)),
        (5, Fault::KillSupervisors(agent)),
        (4, Fault::CrashPostgres),
        (20, Fault::AgentLink(agent, weather)),
        (10, Fault::DatabaseLink(broker, weather)),
        (5, Fault::SubmitterLink(weather)),
    ]);
    let lasts = match fault {
        // Shorter and longer than a lease.
        Fault::KillAgent(_) | Fault::KillHost(_) | Fault::PauseAgent(_) | Fault::AgentLink(..) => {
            dice.millis(200..11_000)
        }
        Fault::KillBroker(_) | Fault::PauseBroker(_) | Fault::DatabaseLink(..) => dice.millis(100..8_000),
        Fault::CrashPostgres => dice.millis(50..4_000),
        Fault::KillSupervisors(_) => Duration::ZERO,
        Fault::SubmitterLink(_) => dice.millis(100..4_000),
    };
    Planned { at, lasts, fault }
}

fn weather(dice: &mut Dice) -> Weather {
    let slow = Weather::Slow(dice.millis(20..900));
    dice.weighted(&[
        (3, Weather::Cut),
        (3, Weather::Stalled),
        (3, Weather::AnswersLost),
        (1, slow),
    ])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const LENGTH: Duration = Duration::from_secs(600);

    #[test]
    fn a_seed_has_one_plan_and_another_seed_another_one() {
        assert_eq!(plan(3, LENGTH, 3, 4), plan(3, LENGTH, 3, 4));
        assert_ne!(plan(3, LENGTH, 3, 4), plan(4, LENGTH, 3, 4));
    }

    #[test]
    fn ten_minutes_see_every_kind_of_fault() {
        let kinds: BTreeSet<_> = plan(1, LENGTH, 3, 4)
            .iter()
            .map(|planned| planned.fault.kind())
            .collect();
        assert_eq!(kinds.len(), 10, "{kinds:?}");
    }
}
