//! Repeating many orders that have ended, after a look at how many it are.

use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use brokkr_core::life::Ending;
use brokkr_core::time::Timestamp;

use super::many::{AT_ONCE, Form, Many, sure, these};
use super::order_filter::{Narrowed, OrderFilter};
use super::page::{Shell, Trouble, page};
use super::session::ConsoleAdmin;
use crate::app::App;
use crate::app::retries::RetryFilter;
use crate::app::work_orders::Choice;

const DAY: Duration = Duration::from_secs(24 * 3_600);
/// What is repeated unless one way of ending is chosen: not what succeeded, and not what somebody did not want any more.
const ENDINGS: [Ending; 3] = [Ending::Failed, Ending::Lost, Ending::Expired];

/// Counts at first; with the time of that count it repeats what was counted.
pub(super) async fn retry(
    State(app): State<App>,
    ConsoleAdmin { session, form }: ConsoleAdmin<Form>,
) -> Result<Response, Trouble> {
    let (filter, ids, counted_at) = (OrderFilter::of_form(&form), these(&form)?, sure(&form)?);
    let before = app.ended_before(counted_at.map(Timestamp::from_micros));
    let is_all = ids.is_empty();
    let choice = match is_all {
        true => Choice::All(all(&filter, before)?),
        false => Choice::These(ids),
    };
    if counted_at.is_none() {
        let count = app.count_retries(&choice).await?;
        return page(&Many {
            shell: Shell::new(&session, "orders"),
            title: "Repeat orders",
            sentence: match (is_all, filter.ending()) {
                (false, _) => "ended and were not repeated yet.",
                (true, Some(_)) => "ended so in the last day and were not repeated yet.",
                (true, None) => "failed, were lost or expired in the last day and were not repeated yet.",
            },
            act: "Repeat them",
            action: "/orders/retries",
            asks_reason: false,
            count,
            before: before.as_micros(),
            fields: Many::fields(&filter, &choice),
            back: filter.address(&[]),
        });
    }
    app.retry_work_orders(&session.caller, &choice, AT_ONCE).await?;
    Ok(Redirect::to("/orders").into_response())
}

fn all(filter: &OrderFilter, ended_before: Timestamp) -> Result<RetryFilter, Trouble> {
    match filter.narrowed().map_err(Trouble::bad)? {
        Narrowed::Log(narrowed) => Ok(RetryFilter {
            endings: filter.ending().map_or(ENDINGS.to_vec(), |ending| vec![ending]),
            terms: narrowed.terms,
            ended_from: ended_before.minus(DAY),
            ended_before,
        }),
        Narrowed::Queue(_) => Err(Trouble::bad("Only what has ended is repeated.")),
    }
}
