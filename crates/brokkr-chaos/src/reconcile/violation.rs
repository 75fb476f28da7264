//! What has no explanation.

use std::fmt;

use brokkr_client::api::{AttemptEnding, Ending};
use uuid::Uuid;

/// Something without an explanation, and what is known around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// None when it is about all of them.
    pub(crate) order: Option<Uuid>,
    pub(crate) violation: Violation,
    pub(crate) story: String,
}

impl Finding {
    pub(crate) fn of_the_campaign(violation: Violation) -> Finding {
        Finding {
            order: None,
            violation,
            story: String::new(),
        }
    }
}

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Violation {
    /// Accepted, and neither in the queue nor in the log.
    Vanished,
    /// In the queue and in the log, or in one of them several times.
    SeveralPlaces { queued: usize, logged: usize },
    /// The queue did not run empty.
    NeverEnded,
    /// In the queue, in the log or in the file, and the broker never said that it took it.
    NeverAccepted,
    /// One order was given to two submissions.
    AcceptedTwice,
    /// The same idempotency key made two orders.
    KeyMadeTwo { key: String, orders: [Uuid; 2] },
    /// A request was refused that is right.
    Refused { what: String },
    /// A command ran under an attempt that the broker does not know.
    UnknownAttempt { attempt: i64 },
    /// The command of one attempt was started several times.
    StartedTwice { attempt: i64 },
    /// A later attempt ran although this one did not end in a way that allows it.
    RanAgain {
        attempt: i64,
        ending: Option<AttemptEnding>,
    },
    /// It was given back as not begun, and it had begun.
    RanThoughReleased { attempt: i64 },
    /// It must run at most once.
    RanTwice { attempts: Vec<i64> },
    /// An attempt that had not been lost still wrote after a later one had begun.
    RanBeside { attempt: i64, later: i64 },
    /// The broker knows an outcome that no command had.
    NotWhatRan { attempt: i64, code: i64 },
    /// The numbers of the attempts are not 1, 2, 3 and so on.
    Numbers { attempts: Vec<i64> },
    /// The order has ended, and this attempt has not.
    StillOpen { attempt: i64 },
    /// The last attempt and the log disagree.
    EndingsDisagree {
        order: Ending,
        attempt: Option<AttemptEnding>,
    },
    /// The log counts other losses than the attempts do.
    LossesDisagree { counted: i64, recorded: usize },
    /// Cancelled, and nobody had asked for that.
    CancelledUnasked,
    /// The broker said that it was cancelled, and it ended in another way.
    CancelForgotten { ending: Ending },
    /// What was accepted is not what is there.
    Totals {
        accepted: usize,
        queued: usize,
        ended: usize,
    },
    /// Commands did not end.
    StillRunning { processes: usize },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |ending: &Option<AttemptEnding>| ending.map_or("still open", AttemptEnding::as_str);
        match self {
            Violation::Vanished => write!(f, "was accepted and is neither in the queue nor in the log"),
            Violation::SeveralPlaces { queued, logged } => {
                write!(f, "is {queued} times in the queue and {logged} times in the log")
            }
            Violation::NeverEnded => write!(f, "is still in the queue"),
            Violation::NeverAccepted => write!(f, "is there, and nobody was told that it was accepted"),
            Violation::AcceptedTwice => write!(f, "was given to two submissions"),
            Violation::KeyMadeTwo {
                key,
                orders: [one, other],
            } => {
                write!(f, "idempotency key {key} made {one} and {other}")
            }
            Violation::Refused { what } => write!(f, "refused: {what}"),
            Violation::UnknownAttempt { attempt } => {
                write!(f, "ran under attempt {attempt}, which is not recorded")
            }
            Violation::StartedTwice { attempt } => write!(f, "attempt {attempt} started its command twice"),
            Violation::RanAgain { attempt, ending } => {
                write!(f, "ran again after attempt {attempt}, which is {}", word(ending))
            }
            Violation::RanThoughReleased { attempt } => {
                write!(f, "attempt {attempt} was given back as not begun, and had begun")
            }
            Violation::RanTwice { attempts } => {
                write!(f, "must run at most once and ran in attempts {attempts:?}")
            }
            Violation::RanBeside { attempt, later } => {
                write!(
                    f,
                    "attempt {attempt}, which was not lost, ran beside attempt {later}"
                )
            }
            Violation::NotWhatRan { attempt, code } => {
                write!(
                    f,
                    "attempt {attempt} says exit code {code}, which no command of it had"
                )
            }
            Violation::Numbers { attempts } => write!(f, "has attempts {attempts:?}"),
            Violation::StillOpen { attempt } => write!(f, "has ended, and its attempt {attempt} has not"),
            Violation::EndingsDisagree { order, attempt } => {
                write!(f, "ended as {order}, and its last attempt is {}", word(attempt))
            }
            Violation::LossesDisagree { counted, recorded } => {
                write!(f, "counts {counted} lost attempts, and {recorded} are recorded")
            }
            Violation::CancelledUnasked => write!(f, "was cancelled, and nobody had asked for it"),
            Violation::CancelForgotten { ending } => {
                write!(f, "was answered to be cancelled, and ended as {ending}")
            }
            Violation::Totals {
                accepted,
                queued,
                ended,
            } => write!(
                f,
                "{accepted} orders were accepted, and {queued} are in the queue and {ended} in the log"
            ),
            Violation::StillRunning { processes } => {
                write!(f, "{processes} commands still run although the queue is empty")
            }
        }
    }
}
