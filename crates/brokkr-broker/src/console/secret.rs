//! What is shown once: a new PAK, or a new secret of a webhook.

use askama::Template;
use axum::response::Response;
use brokkr_core::pak::Pak;

use super::page::{Shell, Trouble, page};

/// Something that nobody can read again, neither here nor elsewhere.
pub(super) struct Secret {
    kind: &'static str,
    /// What becomes of the one that it replaces.
    replaces: &'static str,
    whose: String,
    text: String,
    back: String,
}

impl Secret {
    /// A new PAK of `whose`. `back` is where its reader goes on.
    pub(super) fn pak(pak: &Pak, whose: String, back: String) -> Secret {
        Secret {
            kind: "PAK",
            replaces: "One that it replaces is not accepted any more.",
            whose,
            text: pak.reveal(),
            back,
        }
    }

    /// A new secret of a webhook.
    pub(super) fn of_webhook(text: String, whose: String, back: String) -> Secret {
        Secret {
            kind: "secret",
            replaces: "Receivers verify signatures with it. For a day, deliveries are signed with one that it replaces as well.",
            whose,
            text,
            back,
        }
    }

    pub(super) fn page(self, shell: Shell) -> Result<Response, Trouble> {
        page(&SecretPage { shell, secret: self })
    }
}

#[derive(Template)]
#[template(path = "secret.html")]
struct SecretPage {
    shell: Shell,
    secret: Secret,
}
