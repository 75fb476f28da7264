//! The description of the API, generated from the handlers.

use utoipa::PartialSchema as _;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    Content, InfoBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, Response, ResponseBuilder, SecurityRequirement,
};

use super::router::operations;

mod links;
mod optional;

/// The security scheme's name in the document.
const PAK: &str = "pak";

/// The whole document, as it is served.
#[must_use]
pub fn document() -> OpenApi {
    finish(operations().into_openapi())
}

/// The document as text: JSON, indented, the same for the same routes.
#[must_use]
pub fn text(document: OpenApi) -> String {
    let mut text = document.to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

pub(super) fn head() -> OpenApi {
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Brokkr")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some(include_str!("openapi_introduction.md")))
                .license(Some(utoipa::openapi::License::new("Apache-2.0"))),
        )
        .build()
}

/// Adds what holds for every operation: the key, and the answers that none of them has to spell out.
pub(super) fn finish(mut document: OpenApi) -> OpenApi {
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("PAK")
        .description(Some("A prefixed API key: `brokkr_BR<short>_<long>`."))
        .build();
    let components = document.components.get_or_insert_default();
    components
        .security_schemes
        .insert(PAK.to_owned(), SecurityScheme::Http(scheme).into());
    components
        .schemas
        .insert("Problem".to_owned(), brokkr_api::Problem::schema());
    for (path, item) in &mut document.paths.paths {
        let secured = path.starts_with("/api/");
        for operation in operations_of(item) {
            complete(operation, secured);
            optional::never_null(operation);
            links::add(operation);
        }
    }
    document
}

fn operations_of(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.delete]
        .into_iter()
        .flatten()
}

fn complete(operation: &mut Operation, secured: bool) {
    let mut common = vec![
        ("500", "The broker failed (`internal_error`)"),
        (
            "503",
            "Not now (`database_unavailable`, `not_ready`, `timeout`); `Retry-After` says when to try again",
        ),
    ];
    if secured {
        operation
            .security
            .get_or_insert_default()
            .push(SecurityRequirement::new(PAK, Vec::<String>::new()));
        common.extend([
            (
                "401",
                "No key, or one that is not accepted (`missing_credentials`, `invalid_credentials`)",
            ),
            ("429", "This key sends too many requests (`rate_limited`)"),
        ]);
    }
    if operation
        .parameters
        .as_ref()
        .is_some_and(|parameters| !parameters.is_empty())
    {
        common.push((
            "400",
            "A parameter makes no sense (`invalid_id`, `invalid_path`, `invalid_query`)",
        ));
    }
    if operation.request_body.is_some() {
        common.extend([
            ("400", "The body is not JSON (`invalid_json`, `incomplete_body`)"),
            ("408", "The body did not arrive in time (`body_timeout`)"),
            ("413", "The body is too large (`body_too_large`)"),
            (
                "415",
                "The body is not `application/json` (`unsupported_media_type`)",
            ),
            ("422", "The body has the wrong shape (`invalid_body`)"),
        ]);
    }
    for (status, description) in common {
        add_problem(operation, status, description);
    }
}

/// Documents a status, beside what the handler itself says about it.
fn add_problem(operation: &mut Operation, status: &str, description: &str) {
    let own = operation
        .responses
        .responses
        .get(status)
        .and_then(|response| match response {
            RefOr::T(response) => Some(response.description.clone()),
            RefOr::Ref(_) => None,
        });
    let description = own.map_or_else(
        || description.to_owned(),
        |own| format!("{own}; {}", lower(description)),
    );
    operation
        .responses
        .responses
        .insert(status.to_owned(), problem(&description).into());
}

fn lower(sentence: &str) -> String {
    let mut characters = sentence.chars();
    characters.next().map_or_else(String::new, |first| {
        format!("{}{}", first.to_lowercase(), characters.as_str())
    })
}

fn problem(description: &str) -> Response {
    ResponseBuilder::new()
        .description(description)
        .content(
            "application/json",
            Content::new(Some(Ref::from_schema_name("Problem"))),
        )
        .build()
}
