//! What all pages have in common, and pages that say that there is none.

use askama::Template;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use tracing::error;

use super::assets;
use super::session::Session;
use crate::api::Problem;
use crate::app::DalError;
use crate::app::caller::Role;
use crate::error_chain::chain;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// The frame of a page.
#[derive(Debug, Clone)]
pub(super) struct Shell {
    /// The version of style and script.
    pub(super) assets: &'static str,
    /// The entry of the navigation that the page belongs to.
    pub(super) here: &'static str,
    /// Who looks.
    pub(super) actor: String,
    /// Whether they may act.
    pub(super) can_act: bool,
    /// What each form carries.
    pub(super) form_secret: String,
}

impl Shell {
    pub(super) fn new(session: &Session, here: &'static str) -> Shell {
        Shell {
            assets: assets::version(),
            here,
            actor: session.caller.actor(),
            can_act: session.caller.role == Role::Admin,
            form_secret: session.token.form_secret(),
        }
    }
}

/// A page from its template.
pub(super) fn page(template: &impl Template) -> Result<Response, Trouble> {
    match template.render() {
        Ok(text) => Ok(Html(text).into_response()),
        Err(error) => Err(Trouble::defect(&error)),
    }
}

/// The headers that every answer of the console has.
pub(super) async fn guard(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let always = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
    ];
    for (name, value) in always {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Why there is no page.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Nobody has signed in. `next` is where they wanted to go.
    SignedOut { next: String },
    /// A page that says so.
    Told {
        status: StatusCode,
        title: &'static str,
        sentence: String,
    },
}

impl Trouble {
    pub(super) fn told(status: StatusCode, title: &'static str, sentence: impl Into<String>) -> Trouble {
        Trouble::Told {
            status,
            title,
            sentence: sentence.into(),
        }
    }

    pub(super) fn absent(sentence: &str) -> Trouble {
        Trouble::told(StatusCode::NOT_FOUND, "Not found", sentence)
    }

    pub(super) fn bad(sentence: &str) -> Trouble {
        Trouble::told(StatusCode::BAD_REQUEST, "Not understood", sentence)
    }

    pub(super) fn forbidden(sentence: &str) -> Trouble {
        Trouble::told(StatusCode::FORBIDDEN, "Not allowed", sentence)
    }

    /// Logged here and nowhere else.
    pub(super) fn defect(error: &(dyn std::error::Error + 'static)) -> Trouble {
        error!(error = %chain(error), "a page failed for a reason that is not its reader's");
        Trouble::told(
            StatusCode::INTERNAL_SERVER_ERROR,
            "The broker failed",
            "The broker's log tells why.",
        )
    }
}

impl From<DalError> for Trouble {
    fn from(error: DalError) -> Trouble {
        if !error.transient() {
            return Trouble::defect(&error);
        }
        error!(error = %chain(&error), "the database is not available");
        Trouble::told(
            StatusCode::SERVICE_UNAVAILABLE,
            "Not available",
            "The database is not available. Try again later.",
        )
    }
}

impl From<Problem> for Trouble {
    fn from(problem: Problem) -> Trouble {
        let status = problem.code().status();
        let title = match status {
            StatusCode::NOT_FOUND => "Not found",
            StatusCode::SERVICE_UNAVAILABLE => "Not available",
            StatusCode::INTERNAL_SERVER_ERROR => "The broker failed",
            _ => "Nothing was changed",
        };
        Trouble::told(status, title, problem.body().message)
    }
}

#[derive(Template)]
#[template(path = "trouble.html")]
struct TroublePage {
    assets: &'static str,
    title: &'static str,
    sentence: String,
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        match self {
            Trouble::SignedOut { next } => {
                let next: String = url_encoded(&next);
                Redirect::to(&format!("/sign-in?next={next}")).into_response()
            }
            Trouble::Told {
                status,
                title,
                sentence,
            } => {
                let assets = assets::version();
                let template = TroublePage {
                    assets,
                    title,
                    sentence,
                };
                // A page about trouble that cannot be made is told by its status alone.
                (status, Html(template.render().unwrap_or_default())).into_response()
            }
        }
    }
}

pub(super) fn url_encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}
