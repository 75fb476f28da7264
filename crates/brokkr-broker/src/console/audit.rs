//! Who did what.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;

use super::listed::{FETCHED, Listed};
use super::page::{Shell, Trouble, page, url_encoded};
use super::session::ConsoleReader;
use super::when::When;
use crate::app::App;

struct Fact {
    at: When,
    actor: String,
    action: String,
    subject: String,
    details: String,
}

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage {
    shell: Shell,
    subject: String,
    facts: Listed<Fact>,
}

#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    subject: String,
    #[serde(default)]
    after: String,
}

pub(super) async fn list(
    ConsoleReader(session): ConsoleReader,
    State(app): State<App>,
    Query(asked): Query<Asked>,
) -> Result<Response, Trouble> {
    let subject = Some(asked.subject.trim()).filter(|subject| !subject.is_empty());
    let fetched = app.list_audit(subject, asked.after.parse().ok(), FETCHED).await?;
    let now = app.now();
    let listed = Listed::new(fetched, |last| {
        let subject = url_encoded(asked.subject.trim());
        format!("/audit?subject={subject}&after={}", last.id)
    });
    let facts = listed.map(|entry| Fact {
        at: When::at(entry.at, now),
        actor: entry.actor,
        action: entry.action,
        subject: entry.subject,
        details: entry.details,
    });
    page(&AuditPage {
        shell: Shell::new(&session, "audit"),
        subject: asked.subject,
        facts,
    })
}
