//! Repeating all that did not succeed lately, after a look at how many it are.

use std::time::Duration;

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use brokkr_core::life::Ending;
use serde::Deserialize;

use super::page::{Shell, Trouble, page};
use super::session::ConsoleAdmin;
use crate::app::App;
use crate::app::retries::RetryFilter;

const DAY: Duration = Duration::from_secs(24 * 3_600);
const RETRIED_MAX: u32 = 500;
const MICROS_TEXT_MAX: usize = 20;

#[derive(Template)]
#[template(path = "retries.html")]
struct RetriesPage {
    shell: Shell,
    count: u64,
    at_once: u32,
    before: i64,
}

#[derive(Deserialize)]
pub(super) struct RetriesForm {
    /// Until when the orders ended that were counted; absent as long as nobody has counted.
    #[serde(default)]
    before: String,
}

fn filter(app: &App, before: Option<i64>) -> RetryFilter {
    let before = app.ended_before(before.map(brokkr_core::time::Timestamp::from_micros));
    RetryFilter {
        endings: vec![Ending::Failed, Ending::Lost, Ending::Expired],
        work_type: None,
        agent: None,
        ended_from: before.minus(DAY),
        ended_before: before,
    }
}

/// Counts at first; with the time of that count it repeats what was counted.
pub(super) async fn retry(
    State(app): State<App>,
    ConsoleAdmin { session, form }: ConsoleAdmin<RetriesForm>,
) -> Result<Response, Trouble> {
    if form.before.is_empty() {
        let filter = filter(&app, None);
        let count = app.count_retries(&filter).await?;
        return page(&RetriesPage {
            shell: Shell::new(&session, "orders"),
            count,
            at_once: RETRIED_MAX,
            before: filter.ended_before.as_micros(),
        });
    }
    let before = form
        .before
        .get(..form.before.len().min(MICROS_TEXT_MAX))
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| Trouble::bad("The time of the count cannot be read."))?;
    app.retry_work_orders(&session.caller, &filter(&app, Some(before)), RETRIED_MAX)
        .await?;
    Ok(Redirect::to("/orders").into_response())
}
