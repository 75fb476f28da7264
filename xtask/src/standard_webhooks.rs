//! PyPI's `standardwebhooks`, with which the tests of webhooks verify what is sent.

use crate::python;
use crate::steps::say;

/// The tests that need it.
const TESTS: &str = "standard_webhooks::";
const VERSION: &str = "1.1.0";

/// What `cargo test` is told to leave out: nothing, once the package is there.
pub(crate) fn left_out() -> &'static [&'static str] {
    match python::environment("standardwebhooks", VERSION) {
        Ok(_) => &[],
        Err(error) => {
            say(&format!(
                "{error:#}: the tests that verify webhooks with another implementation are left out"
            ));
            &["--skip", TESTS]
        }
    }
}
