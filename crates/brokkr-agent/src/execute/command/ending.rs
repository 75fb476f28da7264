//! From how a command ended to the outcome of its attempt.

use brokkr_api::FailureClass;
use serde_json::{Value, json};

use crate::execute::command::directory::{End, Exit};
use crate::execute::command::process::signal_name;
use crate::execute::{Failure, Outcome, class_of};

/// A signal is no exit code: `exit_code` stays empty, and `result` names the signal.
pub(crate) fn outcome(exit: &Exit) -> Outcome {
    let (exit_code, result) = evidence(&exit.end);
    let failure = |class, message: String| {
        Outcome::Failure(Failure {
            class,
            message,
            exit_code,
            result: result.clone(),
        })
    };
    let outcome = match (&exit.end, exit.stopped) {
        (End::NotStarted, Some(reason)) => {
            failure(class_of(reason), format!("not started, because {reason}"))
        }
        (_, Some(reason)) => failure(
            class_of(reason),
            format!("stopped, because {reason}: {}", words(&exit.end)),
        ),
        (End::Code(0), None) => Outcome::Success {
            message: None,
            exit_code,
            result,
        },
        (End::Code(_) | End::Signal(_), None) => failure(FailureClass::Work, words(&exit.end)),
        (
            End::StartFailed {
                hosts_fault: true, ..
            }
            | End::NotStarted,
            None,
        ) => failure(FailureClass::Infrastructure, words(&exit.end)),
        (
            End::StartFailed {
                hosts_fault: false, ..
            },
            None,
        ) => failure(FailureClass::Work, words(&exit.end)),
    };
    if exit.output_held_open {
        return outcome
            .with_remark("another process still holds its output open, so what that prints is not kept");
    }
    outcome
}

fn evidence(end: &End) -> (Option<i64>, Option<Value>) {
    match end {
        End::Code(code) => (Some(i64::from(*code)), None),
        End::Signal(number) => (
            None,
            Some(json!({ "signal": number, "signal_name": signal_name(*number) })),
        ),
        End::NotStarted | End::StartFailed { .. } => (None, None),
    }
}

fn words(end: &End) -> String {
    match end {
        End::Code(code) => format!("exit code {code}"),
        End::Signal(number) => match signal_name(*number) {
            Some(name) => format!("ended by signal {number} ({name})"),
            None => format!("ended by signal {number}"),
        },
        End::NotStarted => "the command's supervisor ended before it started anything".to_owned(),
        End::StartFailed { message, .. } => message.clone(),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::stop::StopReason;

    fn exit(end: End, stopped: Option<StopReason>) -> Exit {
        Exit {
            stopped,
            ..Exit::without_output(end)
        }
    }

    fn failed(end: End, stopped: Option<StopReason>) -> Failure {
        match outcome(&exit(end, stopped)) {
            Outcome::Failure(failure) => failure,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_an_exit_code_of_zero_is_a_success() {
        assert_eq!(
            outcome(&exit(End::Code(0), None)),
            Outcome::Success {
                message: None,
                exit_code: Some(0),
                result: None
            }
        );
        let failure = failed(End::Code(3), None);
        assert_eq!((failure.class, failure.exit_code), (FailureClass::Work, Some(3)));
    }

    #[test]
    fn a_signal_is_named_and_is_no_exit_code() {
        let failure = failed(End::Signal(9), None);
        assert_eq!((failure.class, failure.exit_code), (FailureClass::Work, None));
        assert_eq!(
            failure.result,
            Some(json!({ "signal": 9, "signal_name": "SIGKILL" }))
        );
    }

    #[rstest]
    #[case(StopReason::Cancelled, FailureClass::Cancelled)]
    #[case(StopReason::Deadline, FailureClass::Deadline)]
    #[case(StopReason::LeaseLost, FailureClass::Infrastructure)]
    #[case(StopReason::Shutdown, FailureClass::Infrastructure)]
    fn a_stopped_command_fails_for_the_reason_it_was_stopped(
        #[case] reason: StopReason,
        #[case] class: FailureClass,
    ) {
        assert_eq!(failed(End::Signal(15), Some(reason)).class, class);
        assert_eq!(failed(End::Code(0), Some(reason)).class, class);
        assert_eq!(failed(End::NotStarted, Some(reason)).class, class);
    }

    #[test]
    fn a_program_that_cannot_be_started_is_the_orders_fault_unless_the_host_is_short_of_something() {
        let end = |hosts_fault| End::StartFailed {
            message: "no".to_owned(),
            hosts_fault,
        };
        assert_eq!(failed(end(false), None).class, FailureClass::Work);
        assert_eq!(failed(end(true), None).class, FailureClass::Infrastructure);
    }
}
