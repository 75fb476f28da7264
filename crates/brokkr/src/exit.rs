//! What the process says to its caller when it leaves.

use std::fmt;
use std::io;
use std::process::ExitCode;

use brokkr_api::Ending;
use brokkr_client::ClientError;

/// The exit code of every command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0: done, and every order that was waited for succeeded.
    Succeeded,
    /// 1: an order failed, or the broker refused what was asked.
    Failed,
    /// 2: the command line, a file or the configuration is wrong. Nothing was sent.
    Usage,
    /// 3: an order was cancelled.
    Cancelled,
    /// 4: an order is lost or expired.
    LostOrExpired,
    /// 5: the broker does not answer.
    Unreachable,
    /// 130: interrupted at the keyboard.
    Interrupted,
}

/// Shown in `brokkr --help`.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  done; every order that was waited for succeeded
  1  an order failed, or the broker refused
  2  the command line, a file or the configuration is wrong
  3  an order was cancelled
  4  an order is lost (its outcome is unknown) or expired (it never started in time)
  5  the broker cannot be reached
Of several orders the gravest counts: 5, then 4, 1, 3, 0.";

impl Exit {
    /// The number that the shell sees.
    pub(crate) fn code(self) -> u8 {
        match self {
            Exit::Succeeded => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Cancelled => 3,
            Exit::LostOrExpired => 4,
            Exit::Unreachable => 5,
            Exit::Interrupted => 130,
        }
    }

    /// Not knowing is graver than a failure that is known, and what somebody cancelled went as somebody wished.
    fn gravity(self) -> u8 {
        match self {
            Exit::Succeeded => 0,
            Exit::Cancelled => 1,
            Exit::Failed => 2,
            Exit::LostOrExpired => 3,
            Exit::Unreachable => 4,
            Exit::Usage => 5,
            Exit::Interrupted => 6,
        }
    }

    /// The graver of two.
    pub(crate) fn worst(self, other: Exit) -> Exit {
        if self.gravity() < other.gravity() {
            other
        } else {
            self
        }
    }
}

impl From<Ending> for Exit {
    fn from(ending: Ending) -> Exit {
        match ending {
            Ending::Succeeded => Exit::Succeeded,
            Ending::Failed => Exit::Failed,
            Ending::Cancelled => Exit::Cancelled,
            Ending::Lost | Ending::Expired => Exit::LostOrExpired,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

/// Something that the user wrote is wrong; nothing was sent or changed.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// A usage error with a message of its own.
pub(crate) fn usage(message: impl Into<String>) -> anyhow::Error {
    anyhow::Error::new(Usage(message.into()))
}

/// The exit code of an error, decided by the kind of error at the bottom of it. A reader that went away is no error.
pub(crate) fn of_error(error: &anyhow::Error) -> Exit {
    for cause in error.chain() {
        if cause.is::<Usage>() {
            return Exit::Usage;
        }
        if cause.downcast_ref::<ClientError>().is_some_and(is_unreachable) {
            return Exit::Unreachable;
        }
        if is_broken_pipe(cause) {
            return Exit::Succeeded;
        }
    }
    Exit::Failed
}

/// A gateway that has no broker behind it, and a broker that has no database, are as good as none.
fn is_unreachable(error: &ClientError) -> bool {
    error.is_unreachable() || matches!(error.status(), Some(502..=504))
}

fn is_broken_pipe(cause: &(dyn std::error::Error + 'static)) -> bool {
    cause
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Whether there is nobody left to tell about the error.
pub(crate) fn is_quiet(error: &anyhow::Error) -> bool {
    error.chain().any(is_broken_pipe)
}

/// The error and its causes on one line, each said once.
pub(crate) fn explain(error: &anyhow::Error) -> String {
    let mut said: Vec<String> = Vec::new();
    for cause in error.chain().map(ToString::to_string) {
        if said.last() != Some(&cause) {
            said.push(cause);
        }
    }
    said.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_orders_the_gravest_counts() {
        let order = [
            Exit::Succeeded,
            Exit::Cancelled,
            Exit::Failed,
            Exit::LostOrExpired,
            Exit::Unreachable,
        ];
        for pair in order.windows(2) {
            assert_eq!(pair[0].worst(pair[1]), pair[1]);
            assert_eq!(pair[1].worst(pair[0]), pair[1]);
        }
    }

    #[test]
    fn every_ending_has_the_documented_code() {
        let codes = [
            Ending::Succeeded,
            Ending::Failed,
            Ending::Cancelled,
            Ending::Lost,
            Ending::Expired,
        ]
        .map(|ending| Exit::from(ending).code());
        assert_eq!(codes, [0, 1, 3, 4, 4]);
    }

    #[test]
    fn a_usage_error_is_told_apart_wherever_it_stands_in_the_chain() {
        let error = usage("no such file").context("could not submit");
        assert_eq!(of_error(&error), Exit::Usage);
    }
}
