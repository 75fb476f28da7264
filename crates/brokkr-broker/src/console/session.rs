//! Who looks at a page, and whether they may act. Both are arguments of handlers, so that no handler asks.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use serde::de::DeserializeOwned;
use subtle::ConstantTimeEq as _;

use super::Console;
use super::page::Trouble;
use crate::app::caller::{Caller, Role};
use crate::app::console_sessions::SessionToken;

pub(super) const COOKIE: &str = "brokkr_session";
/// The field of every form that only who can read the page can fill.
const FORM_SECRET: &str = "form_secret";

/// Somebody who has signed in, with a key that is still good.
#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) caller: Caller,
    pub(super) token: SessionToken,
}

/// An administrator or a viewer, who looks.
pub(super) struct ConsoleReader(pub(super) Session);

/// A form that an administrator sent from a page of this console.
pub(super) struct ConsoleAdmin<F> {
    pub(super) session: Session,
    pub(super) form: F,
}

/// A form that somebody who has signed in sent from a page of this console, for what a viewer may do too.
pub(super) struct OwnForm(pub(super) Session);

impl FromRequestParts<Console> for ConsoleReader {
    type Rejection = Trouble;

    async fn from_request_parts(parts: &mut Parts, console: &Console) -> Result<Self, Trouble> {
        session(parts, console).await.map(Self)
    }
}

impl<F: DeserializeOwned> FromRequest<Console> for ConsoleAdmin<F> {
    type Rejection = Trouble;

    async fn from_request(request: Request, console: &Console) -> Result<Self, Trouble> {
        let (session, body) = form(request, console).await?;
        if session.caller.role != Role::Admin {
            return Err(Trouble::forbidden(
                "This key may see everything and change nothing.",
            ));
        }
        let form = serde_urlencoded::from_bytes(&body)
            .map_err(|_| Trouble::bad("The form has a field that cannot be read."))?;
        Ok(Self { session, form })
    }
}

impl FromRequest<Console> for OwnForm {
    type Rejection = Trouble;

    async fn from_request(request: Request, console: &Console) -> Result<Self, Trouble> {
        Ok(Self(form(request, console).await?.0))
    }
}

async fn session(parts: &Parts, console: &Console) -> Result<Session, Trouble> {
    let signed_out = || Trouble::SignedOut {
        next: match parts.method {
            Method::GET => parts
                .uri
                .path_and_query()
                .map_or("/", |path| path.as_str())
                .to_owned(),
            _ => "/".to_owned(),
        },
    };
    let token = cookie(&parts.headers).ok_or_else(signed_out)?;
    let caller = console.app.session(&token).await?.ok_or_else(signed_out)?;
    tracing::Span::current().record("caller", tracing::field::display(caller.actor()));
    Ok(Session { caller, token })
}

async fn form(request: Request, console: &Console) -> Result<(Session, Bytes), Trouble> {
    let (parts, body) = request.into_parts();
    from_here(&parts.headers)?;
    let session = session(&parts, console).await?;
    let body = Bytes::from_request(Request::from_parts(parts, body), &())
        .await
        .map_err(|_| Trouble::bad("The form could not be read to its end."))?;
    let fields: Vec<(String, String)> = serde_urlencoded::from_bytes(&body).unwrap_or_default();
    let sent = fields.iter().find(|(name, _)| name == FORM_SECRET);
    let secret = session.token.form_secret();
    match sent {
        Some((_, sent)) if bool::from(sent.as_bytes().ct_eq(secret.as_bytes())) => Ok((session, body)),
        _ => Err(Trouble::forbidden(
            "This form is not one of your session. Go back, reload the page and try again.",
        )),
    }
}

/// Refuses what another site's page sent. Browsers say where a form comes from; who says nothing is no browser.
pub(super) fn from_here(headers: &HeaderMap) -> Result<(), Trouble> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let here = match (text("sec-fetch-site"), text(header::ORIGIN.as_str())) {
        (Some(site), _) => site == "same-origin",
        (None, Some(origin)) => {
            let host = origin.split_once("://").map_or(origin, |(_, host)| host);
            text(header::HOST.as_str()) == Some(host)
        }
        (None, None) => true,
    };
    match here {
        true => Ok(()),
        false => Err(Trouble::forbidden("This form was sent from another site.")),
    }
}

fn cookie(headers: &HeaderMap) -> Option<SessionToken> {
    let lines = headers.get_all(header::COOKIE).iter();
    let mut pairs = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    pairs.find_map(|(name, value)| (name == COOKIE).then(|| SessionToken::parse(value))?)
}
