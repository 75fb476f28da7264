//! The orders of a campaign: what they do, and how they are submitted.

use std::path::Path;

use brokkr_client::api::{CreateWorkOrder, Delivery, FailureClass, TargetingRequest};

use crate::dice::Dice;

/// The label of all agents.
pub(crate) const LABEL: &str = "chaos";

/// Losses and failures around the work use up retries; there are enough that almost no order runs out of them.
const RETRIES: i64 = 40;

/// What an order is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Succeeds at once.
    Plain,
    /// Succeeds after some seconds, so that faults meet it.
    Slow,
    /// Fails until its third attempt.
    Flaky,
    /// Fails every time.
    Hopeless,
    /// Runs into its deadline.
    Overdue,
    /// Takes its time, also longer than a lease, and must not run twice.
    Once,
    /// Is cancelled some time after it was submitted.
    Cancelled,
}

impl Kind {
    pub(crate) fn draw(dice: &mut Dice) -> Kind {
        dice.weighted(&[
            (45, Kind::Plain),
            (12, Kind::Slow),
            (12, Kind::Flaky),
            (4, Kind::Hopeless),
            (5, Kind::Overdue),
            (12, Kind::Once),
            (10, Kind::Cancelled),
        ])
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Plain => "plain",
            Kind::Slow => "slow",
            Kind::Flaky => "flaky",
            Kind::Hopeless => "hopeless",
            Kind::Overdue => "overdue",
            Kind::Once => "at most once",
            Kind::Cancelled => "cancelled",
        }
    }

    /// The order, whose command writes to the file `ran`.
    pub(crate) fn order(self, dice: &mut Dice, ran: &Path) -> CreateWorkOrder {
        let (retry_on, max_retries) = match self {
            Kind::Flaky => (
                Some(vec![FailureClass::Infrastructure, FailureClass::Work]),
                RETRIES,
            ),
            Kind::Hopeless => (Some(vec![FailureClass::Infrastructure, FailureClass::Work]), 2),
            _ => (None, RETRIES),
        };
        CreateWorkOrder {
            work_type: "command".to_owned(),
            yaml_content: document(&self.script(dice, ran)),
            targeting: Some(TargetingRequest {
                labels: Some(vec![LABEL.to_owned()]),
                ..TargetingRequest::default()
            }),
            max_retries: Some(max_retries),
            backoff_seconds: Some(0),
            // So that many of them run when they are cancelled.
            priority: (self == Kind::Cancelled).then_some(10),
            deadline_seconds: (self == Kind::Overdue).then_some(2),
            delivery: (self == Kind::Once).then_some(Delivery::AtMostOnce),
            retry_on,
            ..CreateWorkOrder::default()
        }
    }

    fn script(self, dice: &mut Dice, ran: &Path) -> String {
        let millis = match self {
            Kind::Plain | Kind::Flaky | Kind::Hopeless => dice.number(0..200),
            Kind::Slow => dice.number(1_000..9_000),
            Kind::Overdue => 30_000,
            Kind::Once => dice.number(500..8_000),
            Kind::Cancelled => dice.number(500..7_000),
        };
        let code = match self {
            Kind::Flaky => "$((BROKKR_ATTEMPT < 3 ? 7 : 0))",
            Kind::Hopeless => "9",
            _ => "0",
        };
        let (ran, seconds) = (ran.display(), format!("{}.{:03}", millis / 1_000, millis % 1_000));
        // The shell opens the file to append, and each line is one write, so lines never mix.
        format!(
            "echo \"begin $BROKKR_WORK_ORDER_ID $BROKKR_ATTEMPT\" >> {ran}\n\
             sleep {seconds}\n\
             code={code}\n\
             echo \"end $BROKKR_WORK_ORDER_ID $BROKKR_ATTEMPT $code\" >> {ran}\n\
             exit $code\n"
        )
    }
}

fn document(script: &str) -> String {
    let indented: String = script.lines().map(|line| format!("    {line}\n")).collect();
    format!("apiVersion: brokkr.io/v1\nkind: Command\nspec:\n  shell: |\n{indented}")
}
