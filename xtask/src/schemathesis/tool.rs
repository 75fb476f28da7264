//! Schemathesis itself.

use std::path::PathBuf;

use crate::python;

/// Another version may check other things.
const VERSION: &str = "4.32.5";

/// The program, installed when it is not there.
pub(super) fn installed() -> anyhow::Result<PathBuf> {
    Ok(python::environment("schemathesis", VERSION)?.join("schemathesis"))
}
