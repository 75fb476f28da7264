//! The fuzz target for cursors of all lists, and for places in live output.

use brokkr_core::attempt::Attempt;
use brokkr_core::names::{AnnotationKey, Label};
use brokkr_testkit_fuzz::Fuzz;

use super::*;

const WORDS: &[&str] = &[
    "0",
    "f",
    "F",
    "+",
    "-",
    ".",
    ":",
    "_",
    "00000000000000000000000000000007",
    "7fffffffffffffff",
    "c3a4",
    "20",
    "\u{ff10}",
    "%2B",
];

#[test]
fn cursors() {
    Fuzz::new("cursors", WORDS).run_texts(|text| {
        let read = [
            refused_or_issued::<WorkOrderId>(text),
            refused_or_issued::<(Timestamp, WorkOrderId)>(text),
            refused_or_issued::<AgentId>(text),
            refused_or_issued::<GeneratorId>(text),
            refused_or_issued::<AgentLabelId>(text),
            refused_or_issued::<AgentAnnotationId>(text),
            refused_or_issued::<ShortPart>(text),
            refused_or_issued::<Label>(text),
            refused_or_issued::<AnnotationKey>(text),
            refused_or_issued::<Attempt>(text),
        ];
        format!("{read:?}")
    });
}

/// Whether a list takes it for one of its cursors. Then it is the very one that the list gives out for that key.
fn refused_or_issued<K: CursorKey>(text: &str) -> bool {
    match PageRequest::<K>::new(None, Some(text), Uri::from_static("/list"), &Limits::default()) {
        Ok(page) => {
            let key = page.after.expect("a cursor leads somewhere");
            assert_eq!(key.to_cursor(), text, "was never given out");
            let next = next_page(&Uri::from_static("/list"), text);
            assert!(next.parse::<Uri>().is_ok(), "{next:?} cannot be asked for");
            true
        }
        Err(problem) => {
            assert_eq!(problem.code(), Code::InvalidCursor);
            assert!(problem.code().status().is_client_error());
            let message = problem.body().message;
            assert!(
                text.len() < 40 || !message.contains(text),
                "the error quotes the cursor"
            );
            false
        }
    }
}
