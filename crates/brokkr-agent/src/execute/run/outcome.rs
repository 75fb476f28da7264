//! Outcomes of attempts of which nothing was begun.

use brokkr_api::FailureClass;

use crate::execute::{Outcome, class_of};
use crate::kube::{ApiFailure, StopError};
use crate::stop::StopReason;

/// The attempt is refused.
pub(crate) fn refused(why: impl ToString) -> Outcome {
    Outcome::failure(FailureClass::Refused, why.to_string())
}

/// A request failed.
pub(crate) fn of_api(failure: &ApiFailure) -> Outcome {
    Outcome::failure(failure.class(), failure.chain())
}

/// Earlier attempts are in the way: to begin beside them might do the work twice at once.
pub(crate) fn not_alone(error: &StopError) -> Outcome {
    match error {
        StopError::Api(failure) => of_api(failure),
        StopError::Remains { .. } => Outcome::failure(
            FailureClass::Infrastructure,
            format!("an earlier attempt at this order does not stop, so nothing was begun: {error}"),
        ),
    }
}

/// Nothing of it was begun. An agent that is stopped leaves that to its successor.
pub(crate) fn not_begun(reason: StopReason) -> Outcome {
    let message = format!("not started, because {reason}");
    match reason {
        StopReason::Shutdown | StopReason::Superseded => Outcome::Left { message },
        StopReason::Cancelled | StopReason::Deadline | StopReason::LeaseLost => {
            Outcome::failure(class_of(reason), message)
        }
    }
}
