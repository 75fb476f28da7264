//! A headless Chromium for tests, driven through WebDriver. Development only.
//!
//! Each [`Browser`] is a chromedriver on a port of its own and a Chromium with an empty profile, both of which end with the value and
//! with the process that holds it. Nothing waits for luck: what a page shows is looked for again and again until it is there or
//! [`PATIENCE`] is over, and then the test fails with what the page shows instead.

mod axe;
mod browser;
mod cdp;
mod driver;
mod named;
mod page;
mod programs;
mod screenshots;

use std::time::Duration;

pub use axe::{Axe, AxeMissing, Finding};
pub use browser::{Browser, BrowserError, Settings};
pub use cdp::Theme;
pub use programs::{Programs, ProgramsMissing};

/// How long a page may take until it shows what is expected. Only a test that fails waits for it.
pub const PATIENCE: Duration = Duration::from_secs(45);
