//! The style and the scripts of all pages, under addresses that change with them.

use std::sync::OnceLock;

use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use sha2::{Digest as _, Sha256};

use super::page::Trouble;

const STYLE: &str = include_str!("assets/console.css");
const SCRIPT: &str = include_str!("assets/console.js");
const OUTPUT: &str = include_str!("assets/output.js");
const VERSION_LETTERS: usize = 16;

/// Names all of them as they are now.
pub(super) fn version() -> &'static str {
    static VERSION: OnceLock<String> = OnceLock::new();
    VERSION.get_or_init(|| {
        let digest = [STYLE, SCRIPT, OUTPUT]
            .iter()
            .fold(Sha256::new(), Sha256::chain_update)
            .finalize();
        let letters: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        letters[..VERSION_LETTERS].to_owned()
    })
}

/// Serves one of them. An older version is not kept: pages that name it are reloaded with the broker.
pub(super) async fn serve(Path((asked, name)): Path<(String, String)>) -> Result<Response, Trouble> {
    let (media_type, text) = match name.as_str() {
        "console.css" => ("text/css; charset=utf-8", STYLE),
        "console.js" => ("text/javascript; charset=utf-8", SCRIPT),
        "output.js" => ("text/javascript; charset=utf-8", OUTPUT),
        _ => return Err(Trouble::absent("There is no such file.")),
    };
    let kept = match asked == version() {
        true => "public, max-age=31536000, immutable",
        false => "no-store",
    };
    Ok((
        [(header::CONTENT_TYPE, media_type), (header::CACHE_CONTROL, kept)],
        text,
    )
        .into_response())
}
