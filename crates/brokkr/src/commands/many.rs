//! What is done to many orders at once: after a count, and only when that was agreed to.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::time::Duration;

use brokkr_api::Time;

use crate::exit::usage;
use crate::output::print;

/// Whether to ask.
#[derive(Debug, Clone, Copy, clap::Args)]
#[group(id = "consent", multiple = true)]
pub(super) struct ConsentArgs {
    /// Only tell how many there are
    #[arg(long)]
    dry_run: bool,

    /// Do not ask
    #[arg(short, long, conflicts_with = "dry_run")]
    yes: bool,
}

/// A deed: the word for it, and the word for what was done.
pub(super) struct Deed {
    pub(super) verb: &'static str,
    pub(super) done: &'static str,
}

impl ConsentArgs {
    /// Whether to go on with so many orders. If not, it was said why.
    ///
    /// # Errors
    /// When nobody is there to be asked.
    pub(super) fn given(self, deed: &Deed, matching: i64) -> anyhow::Result<bool> {
        let orders = count(matching);
        let Deed { verb, done } = deed;
        if self.dry_run || matching == 0 {
            print(&format!("{orders} would be {done}\n"))?;
            return Ok(false);
        }
        if self.yes {
            return Ok(true);
        }
        if !io::stdin().is_terminal() {
            return Err(usage(format!("{orders} would be {done}; say --yes to do so")));
        }
        eprint!("{verb} {orders}? [y/N] ");
        io::stderr().flush()?;
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer)?;
        let agreed = ["y", "yes"].contains(&answer.trim().to_lowercase().as_str());
        if !agreed {
            print(&format!("nothing was {done}\n"))?;
        }
        Ok(agreed)
    }
}

fn count(orders: i64) -> String {
    if orders == 1 {
        "1 order".to_owned()
    } else {
        format!("{orders} orders")
    }
}

/// So long before now, and not before there were times.
pub(super) fn ago(now: Time, span: Duration) -> Time {
    let micros = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
    Time::from_micros(now.as_micros().saturating_sub(micros).max(0))
}
