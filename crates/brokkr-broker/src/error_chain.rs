//! An error and everything that caused it, in one line: for logs, where an error is handled.

use std::error::Error;

/// Joins an error and its sources with colons.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
