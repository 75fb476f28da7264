//! The keys of people: who has one, making another, and revoking.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use brokkr_api::Time;
use brokkr_core::names::KeyName;
use brokkr_core::pak::ShortPart;
use brokkr_core::time::Timestamp;
use serde::Deserialize;

use super::agents::SecretPage;
use super::page::{Shell, Trouble, page};
use super::session::{ConsoleAdmin, ConsoleReader};
use super::when::When;
use crate::app::App;
use crate::app::caller::Role;
use crate::app::credentials::{NamedRole, PakError};

const PAGE: u32 = 100;

struct PakShown {
    short: String,
    name: String,
    role: &'static str,
    made: When,
    expires: Option<When>,
}

#[derive(Template)]
#[template(path = "paks.html")]
struct PaksPage {
    shell: Shell,
    paks: Vec<PakShown>,
    next: Option<String>,
}

impl From<PakError> for Trouble {
    fn from(error: PakError) -> Trouble {
        match error {
            PakError::Storage(error) => error.into(),
            other => Trouble::bad(&format!("Nothing was changed: {other}.")),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    after: String,
}

pub(super) async fn list(
    ConsoleReader(session): ConsoleReader,
    State(app): State<App>,
    Query(asked): Query<Asked>,
) -> Result<Response, Trouble> {
    let after = ShortPart::parse(&asked.after);
    let mut paks = app.list_paks(after.as_ref(), PAGE + 1).await?;
    let is_more = paks.len() > PAGE as usize;
    paks.truncate(PAGE as usize);
    let next = paks
        .last()
        .filter(|_| is_more)
        .map(|pak| format!("/paks?after={}", pak.short));
    let now = app.now();
    let wire = |at: Timestamp| Time::from_micros(at.as_micros());
    page(&PaksPage {
        shell: Shell::new(&session, "paks"),
        paks: paks
            .into_iter()
            .map(|pak| PakShown {
                short: pak.short.to_string(),
                name: pak.name.map_or_else(String::new, KeyName::into_string),
                role: match pak.role {
                    Role::Admin => "admin",
                    _ => "viewer",
                },
                made: When::new(wire(pak.created_at), now),
                expires: When::maybe(pak.expires_at.map(wire), now),
            })
            .collect(),
        next,
    })
}

/// What the page asks for.
#[derive(Deserialize)]
pub(super) struct PakForm {
    act: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    role: String,
    #[serde(default)]
    short: String,
}

/// Makes a key, which is shown once, or revokes one.
pub(super) async fn change(
    State(app): State<App>,
    ConsoleAdmin { session, form }: ConsoleAdmin<PakForm>,
) -> Result<Response, Trouble> {
    if form.act == "revoke" {
        let short = ShortPart::parse(&form.short).ok_or_else(|| Trouble::bad("This names no PAK."))?;
        app.delete_pak(&session.caller, &short).await?;
        return Ok(Redirect::to("/paks").into_response());
    }
    let name = KeyName::parse(form.name.trim().to_owned())
        .map_err(|error| Trouble::bad(&format!("This is no name: {error}.")))?;
    let role = match form.role.as_str() {
        "admin" => NamedRole::Admin,
        "viewer" => NamedRole::Viewer,
        _ => return Err(Trouble::bad("There is no such role.")),
    };
    let (credential, pak) = app.create_pak(&session.caller, name, role, None).await?;
    page(&SecretPage {
        shell: Shell::new(&session, "paks"),
        whose: credential.name.map_or_else(String::new, KeyName::into_string),
        secret: pak.reveal(),
        back: "/paks".to_owned(),
    })
}
