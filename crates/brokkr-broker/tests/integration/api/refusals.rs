//! What the broker refused, in the words that clients decide by.

use std::fmt::Debug;

use brokkr_client::ClientError;

/// The code of a refusal.
pub(crate) fn code<T: Debug>(answer: Result<T, ClientError>) -> String {
    let error = answer.expect_err("the broker refuses");
    error.code().expect("a refusal has a code").to_owned()
}
