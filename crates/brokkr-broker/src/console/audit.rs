//! Who did what.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;

use super::page::{Shell, Trouble, page, url_encoded};
use super::session::ConsoleReader;
use super::when::When;
use crate::app::App;

const PAGE: u32 = 100;

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
    facts: Vec<Fact>,
    next: Option<String>,
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
    let mut entries = app
        .list_audit(subject, asked.after.parse().ok(), PAGE + 1)
        .await?;
    let is_more = entries.len() > PAGE as usize;
    entries.truncate(PAGE as usize);
    let next = entries.last().filter(|_| is_more).map(|entry| {
        format!(
            "/audit?subject={}&after={}",
            url_encoded(asked.subject.trim()),
            entry.id
        )
    });
    let now = app.now();
    page(&AuditPage {
        shell: Shell::new(&session, "audit"),
        subject: asked.subject,
        facts: entries
            .into_iter()
            .map(|entry| Fact {
                at: When::new(brokkr_api::Time::from_micros(entry.at.as_micros()), now),
                actor: entry.actor,
                action: entry.action,
                subject: entry.subject,
                details: entry.details,
            })
            .collect(),
        next,
    })
}
