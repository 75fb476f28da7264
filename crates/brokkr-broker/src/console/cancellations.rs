//! Cancelling many orders, after a look at how many it are.

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use brokkr_core::time::Timestamp;

use super::many::{AT_ONCE, Form, Many, reason, sure, these};
use super::order_filter::{Narrowed, OrderFilter};
use super::page::{Shell, Trouble, page};
use super::session::ConsoleAdmin;
use crate::app::App;
use crate::app::cancellations::CancelFilter;
use crate::app::work_orders::Choice;

const REASON_CHARACTERS_MAX: usize = 1_024;

/// Counts at first; with the time of that count it cancels what was counted.
pub(super) async fn cancel(
    State(app): State<App>,
    ConsoleAdmin { session, form }: ConsoleAdmin<Form>,
) -> Result<Response, Trouble> {
    let (filter, ids, counted_at) = (OrderFilter::of_form(&form), these(&form)?, sure(&form)?);
    let before = app.created_before(counted_at.map(Timestamp::from_micros));
    let choice = match ids.is_empty() {
        true => Choice::All(all(&filter, before)?),
        false => Choice::These(ids),
    };
    if counted_at.is_none() {
        let count = app.count_cancellations(&choice).await?;
        return page(&Many {
            shell: Shell::new(&session, "orders"),
            title: "Cancel orders",
            sentence: "can be cancelled. What waits ends at once; what runs is stopped by its agent.",
            act: "Cancel them",
            action: "/orders/cancellations",
            asks_reason: true,
            count,
            before: before.as_micros(),
            fields: Many::fields(&filter, &choice),
            back: filter.address(&[]),
        });
    }
    app.cancel_work_orders(
        &session.caller,
        &choice,
        reason(&form, REASON_CHARACTERS_MAX)?,
        AT_ONCE,
    )
    .await?;
    Ok(Redirect::to(&filter.address(&[])).into_response())
}

fn all(filter: &OrderFilter, created_before: Timestamp) -> Result<CancelFilter, Trouble> {
    match filter.narrowed().map_err(Trouble::bad)? {
        Narrowed::Queue(narrowed) => Ok(CancelFilter {
            status: narrowed.status,
            terms: narrowed.terms,
            created_from: Timestamp::from_micros(0),
            created_before,
        }),
        Narrowed::Log(_) => Err(Trouble::bad("What has ended cannot be cancelled.")),
    }
}
