//! How orders are getting on, on standard error: a line that moves on a terminal, plain lines elsewhere.

use std::io::IsTerminal as _;
use std::time::Duration;

use brokkr_api::{WorkOrder, WorkOrderLog, WorkOrderStatus};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use uuid::Uuid;

use crate::output::colour::{Stream, paint};
use crate::output::{age, one_line, orders};

/// Shows one or several orders.
#[derive(Debug)]
pub(crate) enum Reporter {
    /// A moving line for each order.
    Bars(MultiProgress),
    /// A line for each change.
    Lines,
}

impl Reporter {
    /// For a command that only waits.
    pub(crate) fn for_waiting() -> Reporter {
        let dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
        if std::io::stderr().is_terminal() && !dumb {
            Reporter::Bars(MultiProgress::new())
        } else {
            Reporter::Lines
        }
    }

    /// Begins to show an order.
    pub(crate) fn order(&self, id: Uuid) -> Progress {
        let bar = match self {
            Reporter::Lines => None,
            Reporter::Bars(bars) => {
                let bar = bars.add(ProgressBar::new_spinner());
                // The template is a constant that a test reads, so the fallback is never used.
                let style = ProgressStyle::with_template(TEMPLATE)
                    .unwrap_or_else(|_| ProgressStyle::default_spinner());
                bar.set_style(style);
                bar.set_message(format!("order/{id}"));
                bar.enable_steady_tick(Duration::from_millis(120));
                Some(bar)
            }
        };
        Progress { id, bar, last: None }
    }
}

const TEMPLATE: &str = "{spinner} {msg}  {elapsed}";

/// Shows one order.
#[derive(Debug)]
pub(crate) struct Progress {
    id: Uuid,
    bar: Option<ProgressBar>,
    last: Option<String>,
}

impl Progress {
    /// Shows what is new about the order, if anything is. Its end is shown by [`Progress::ended`].
    pub(crate) fn seen(&mut self, order: &WorkOrder) {
        let state = state(order);
        if order.status.ended() || self.last.as_ref() == Some(&state) {
            return;
        }
        let line = format!(
            "order/{} {}",
            self.id,
            paint(Stream::Stderr, orders::status_tone(order.status), &state)
        );
        match &self.bar {
            Some(bar) => bar.set_message(line),
            None => eprintln!("{line}"),
        }
        self.last = Some(state);
    }

    /// Shows how the order ended.
    pub(crate) fn ended(&self, entry: &WorkOrderLog) {
        self.finish(&ending(entry));
    }

    /// Shows why the order cannot be watched any more.
    pub(crate) fn failed(&self, error: &str) {
        self.finish(&format!("order/{}: {error}", self.id));
    }

    fn finish(&self, line: &str) {
        match &self.bar {
            Some(bar) => {
                bar.finish_and_clear();
                bar.suspend(|| eprintln!("{line}"));
            }
            None => eprintln!("{line}"),
        }
    }
}

fn state(order: &WorkOrder) -> String {
    match order.status {
        WorkOrderStatus::Claimed if order.cancel_requested_at.is_some() => {
            format!("is being cancelled (attempt {})", order.attempt)
        }
        WorkOrderStatus::Claimed => format!("runs (attempt {})", order.attempt),
        WorkOrderStatus::Pending if 0 < order.attempt => {
            format!("waits for an agent, after attempt {}", order.attempt)
        }
        WorkOrderStatus::Pending => "waits for an agent".to_owned(),
        WorkOrderStatus::Scheduled => "waits for its time".to_owned(),
        WorkOrderStatus::RetryPending => {
            let error = one_line(order.last_error.as_deref().unwrap_or("unknown error"));
            format!(
                "waits to be tried again, after attempt {}: {error}",
                order.attempt
            )
        }
        ended => ended.to_string(),
    }
}

/// How an order ended, on one line.
pub(crate) fn ending(entry: &WorkOrderLog) -> String {
    let word = paint(
        Stream::Stderr,
        orders::ending_tone(entry.ending),
        entry.ending.as_str(),
    );
    let took = entry
        .claimed_at
        .map(|start| format!(" after {}", age::between(start, entry.completed_at)));
    let message = entry
        .result_message
        .as_deref()
        .map(one_line)
        .filter(|message| !message.is_empty());
    let message = message.map(|message| format!(": {message}"));
    let attempts = (1 < entry.attempt).then(|| format!(" (attempt {})", entry.attempt));
    let parts = [took, attempts, message]
        .into_iter()
        .flatten()
        .collect::<String>();
    format!("order/{} {word}{parts}", entry.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_understood() {
        assert!(ProgressStyle::with_template(TEMPLATE).is_ok());
    }
}
