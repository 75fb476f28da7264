//! The keys of people: who has one, making another, and revoking.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use brokkr_core::names::KeyName;
use brokkr_core::pak::ShortPart;
use serde::Deserialize;

use super::listed::{After, FETCHED, Listed};
use super::page::{Shell, Trouble, page};
use super::secret::Secret;
use super::session::{ConsoleAdmin, ConsoleReader};
use super::when::When;
use crate::app::App;
use crate::app::caller::Role;
use crate::app::credentials::{NamedRole, PakError};

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
    paks: Listed<PakShown>,
}

impl From<PakError> for Trouble {
    fn from(error: PakError) -> Trouble {
        match error {
            PakError::Storage(error) => error.into(),
            other => Trouble::bad(&format!("Nothing was changed: {other}.")),
        }
    }
}

pub(super) async fn list(
    ConsoleReader(session): ConsoleReader,
    State(app): State<App>,
    Query(asked): Query<After>,
) -> Result<Response, Trouble> {
    let after = ShortPart::parse(&asked.after);
    let fetched = app.list_paks(after.as_ref(), FETCHED).await?;
    let now = app.now();
    page(&PaksPage {
        shell: Shell::new(&session, "paks"),
        paks: Listed::new(fetched, |last| format!("/paks?after={}", last.short)).map(|pak| PakShown {
            short: pak.short.to_string(),
            name: pak.name.map_or_else(String::new, KeyName::into_string),
            role: match pak.role {
                Role::Admin => "admin",
                _ => "viewer",
            },
            made: When::at(pak.created_at, now),
            expires: pak.expires_at.map(|at| When::at(at, now)),
        }),
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
    let whose = credential.name.map_or_else(String::new, KeyName::into_string);
    Secret::pak(&pak, whose, "/paks".to_owned()).page(Shell::new(&session, "paks"))
}
