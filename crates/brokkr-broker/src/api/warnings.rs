//! What a request said that the broker ignored. It is told in the answer, so that nothing is dropped silently.

use std::sync::{Arc, Mutex, PoisonError};

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};

const WARNING: HeaderName = HeaderName::from_static("warning");
const NAMES_TOLD_MAX: usize = 10;

/// The remarks on one request. The middleware puts them into the request and later into the answer's `Warning` header.
#[derive(Debug, Clone, Default)]
pub(crate) struct Warnings(Arc<Mutex<Vec<String>>>);

impl Warnings {
    /// Notes fields or parameters that were ignored.
    pub(crate) fn ignored(parts: &Parts, kind: &str, names: &[String]) {
        let Some(Self(remarks)) = parts.extensions.get::<Self>() else {
            return;
        };
        if names.is_empty() {
            return;
        }
        let told: Vec<_> = names
            .iter()
            .take(NAMES_TOLD_MAX)
            .map(|name| quotable(name))
            .collect();
        let more = if names.len() > NAMES_TOLD_MAX {
            " and others"
        } else {
            ""
        };
        let remark = format!("299 brokkr \"ignored unknown {kind}: {}{more}\"", told.join(", "));
        remarks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(remark);
    }

    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        let remarks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for value in remarks
            .iter()
            .filter_map(|remark| HeaderValue::from_str(remark).ok())
        {
            headers.append(WARNING, value);
        }
    }
}

/// A name from outside, with whatever a quoted header text cannot hold replaced, and cut to a readable length.
fn quotable(name: &str) -> String {
    const CHARACTERS_MAX: usize = 64;
    let safe = |character: char| character.is_ascii_graphic() && !matches!(character, '"' | '\\');
    name.chars()
        .take(CHARACTERS_MAX)
        .map(|character| if safe(character) { character } else { '?' })
        .collect()
}
