//! What happens now, on one page.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::agents::{AGENTS_COUNTED_MAX, Presence};
use super::orders::Row;
use super::page::{Shell, Trouble, page};
use super::recent::{Plot, Slow, TILES, Tile, log_since};
use super::session::ConsoleReader;
use super::when::span;
use crate::app::App;
use crate::app::log::LogFilter;
use crate::app::recent_endings::Window;

const ENDED_SHOWN: u32 = 15;

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview {
    shell: Shell,
    waiting: String,
    oldest: Option<String>,
    running: String,
    retries: String,
    scheduled: String,
    agents_up: usize,
    agents_late: usize,
    agents_paused: usize,
    endings: Vec<Tile>,
    attempts_lost: String,
    link_of_lost: String,
    slowest: Vec<Slow>,
    plots: Vec<Plot>,
    ended: Vec<Row>,
}

pub(super) async fn show(
    ConsoleReader(session): ConsoleReader,
    State(app): State<App>,
) -> Result<Response, Trouble> {
    let queue = app.queue_now().await?;
    let agents = app.list_agents(&session.caller, None, AGENTS_COUNTED_MAX).await?;
    let ended = app
        .find_in_log(LogFilter::default(), None, ENDED_SHOWN)
        .await?
        .rows;
    let hour = app.recent_endings(Window::Hour).await?;
    let day = app.recent_endings(Window::Day).await?;
    let now = app.now();
    let agents = |presence: Presence| {
        let words = agents.iter().map(|agent| Presence::of(agent, now).word());
        words.filter(|word| *word == presence.word()).count()
    };
    let count = |status: &str| -> u64 {
        let of_them = queue.iter().filter(|depth| depth.status == status);
        of_them.map(|depth| depth.orders).sum()
    };
    let oldest = queue.iter().find(|depth| depth.status == "PENDING");
    page(&Overview {
        shell: Shell::new(&session, "overview"),
        waiting: grouped(count("PENDING")),
        oldest: oldest.map(|depth| span(now.since(depth.oldest).as_secs().cast_signed())),
        running: grouped(count("CLAIMED")),
        retries: grouped(count("RETRY_PENDING")),
        scheduled: grouped(count("SCHEDULED")),
        agents_up: agents(Presence::Up),
        agents_late: agents(Presence::Late),
        agents_paused: agents(Presence::Paused),
        endings: TILES.iter().map(|tile| Tile::new(tile, &hour)).collect(),
        attempts_lost: grouped(hour.attempts_lost()),
        link_of_lost: format!("{}&lost_attempt=true", log_since(hour.since)),
        slowest: hour.slowest.iter().map(|slow| Slow::new(slow, &hour)).collect(),
        plots: vec![
            Plot::new("The last hour", &hour, Window::Hour, now)?,
            Plot::new("The last day", &day, Window::Day, now)?,
        ],
        ended: ended.into_iter().map(|entry| Row::ended(entry, now)).collect(),
    })
}

/// `10,000` is read faster than `10000`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn digits_are_grouped_by_three() {
        assert_eq!(
            [0, 437, 1_000, 10_000, 1_234_567].map(grouped),
            ["0", "437", "1,000", "10,000", "1,234,567"]
        );
    }
}
