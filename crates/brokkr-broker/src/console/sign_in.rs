//! Coming and going.

use askama::Template;
use std::net::SocketAddr;

use axum::extract::{ConnectInfo, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Extension, Form};
use brokkr_core::pak::Pak;
use serde::Deserialize;

use super::page::{Trouble, page};
use super::session::{COOKIE, OwnForm, from_here};
use super::{Console, assets};
use crate::app::console_sessions::SignInError;

const SECONDS_UNTIL_NEXT_TRY: &str = "5";

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    assets: &'static str,
    next: String,
    refusal: Option<&'static str>,
}

#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    next: String,
}

#[derive(Deserialize)]
pub(super) struct Key {
    #[serde(default)]
    pak: String,
    #[serde(default)]
    next: String,
}

pub(super) async fn show(Query(asked): Query<Asked>) -> Result<Response, Trouble> {
    page(&SignInPage {
        assets: assets::version(),
        next: local(&asked.next).to_owned(),
        refusal: None,
    })
}

/// Opens a session and goes on to where its bearer wanted to go.
pub(super) async fn sign_in(
    State(console): State<Console>,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
    Form(key): Form<Key>,
) -> Result<Response, Trouble> {
    from_here(&headers)?;
    let next = local(&key.next);
    if !console
        .sign_ins
        .allow(peer.map(|Extension(ConnectInfo(peer))| peer.ip()))
    {
        let page = refuse(
            StatusCode::TOO_MANY_REQUESTS,
            next,
            "There were too many attempts to sign in. Wait a few seconds.",
        )?;
        return Ok(([(header::RETRY_AFTER, SECONDS_UNTIL_NEXT_TRY)], page).into_response());
    }
    let not_accepted = "This PAK is not accepted: it is unknown, expired, revoked or malformed.";
    let Ok(pak) = Pak::parse(key.pak.trim()) else {
        return refuse(StatusCode::UNAUTHORIZED, next, not_accepted);
    };
    match console.app.sign_in(&pak, console.sessions_last).await {
        Ok(token) => {
            let seconds = console.sessions_last.as_secs();
            let cookie = set_cookie(&console, token.reveal(), seconds)?;
            Ok(([(header::SET_COOKIE, cookie)], Redirect::to(next)).into_response())
        }
        Err(SignInError::NotAccepted) => refuse(StatusCode::UNAUTHORIZED, next, not_accepted),
        Err(SignInError::NotAPerson) => refuse(
            StatusCode::FORBIDDEN,
            next,
            "This PAK belongs to an agent or a generator. The console opens for administrators and viewers.",
        ),
        Err(SignInError::Storage(error)) => Err(error.into()),
    }
}

/// Ends the session at every replica.
pub(super) async fn sign_out(
    State(console): State<Console>,
    OwnForm(session): OwnForm,
) -> Result<Response, Trouble> {
    console.app.sign_out(&session.token).await?;
    let cookie = set_cookie(&console, "", 0)?;
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to("/sign-in")).into_response())
}

fn refuse(status: StatusCode, next: &str, refusal: &'static str) -> Result<Response, Trouble> {
    let shown = page(&SignInPage {
        assets: assets::version(),
        next: next.to_owned(),
        refusal: Some(refusal),
    })?;
    Ok((status, shown).into_response())
}

fn set_cookie(console: &Console, value: &str, seconds: u64) -> Result<HeaderValue, Trouble> {
    let secure = match console.cookies_over_tls {
        true => "; Secure",
        false => "",
    };
    let text = format!("{COOKIE}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    HeaderValue::from_str(&text).map_err(|error| Trouble::defect(&error))
}

/// The path if it is one of this broker, so that nobody is led elsewhere by a link to the sign-in.
fn local(path: &str) -> &str {
    let is_local = path.starts_with('/')
        && !path.starts_with("//")
        && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    match is_local {
        true => path,
        false => "/",
    }
}

#[cfg(test)]
mod tests {
    use super::local;

    #[test]
    fn no_link_leads_to_another_site() {
        assert_eq!(local("/orders?state=FAILED"), "/orders?state=FAILED");
        for elsewhere in [
            "//evil.example",
            "https://evil.example",
            "/\\evil.example",
            "evil",
            "",
            "/\t/evil.example",
        ] {
            assert_eq!(local(elsewhere), "/", "{elsewhere}");
        }
    }
}
