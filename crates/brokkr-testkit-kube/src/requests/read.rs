//! Reading one object, or many.

use std::sync::Arc;

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::Api;
use super::call::{Call, Target};
use crate::resources::Resource;
use crate::selector::Selector;
use crate::status::Status;

/// How objects are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Whole,
    /// `PartialObjectMetadata`.
    Metadata,
}

impl Form {
    pub(crate) fn of(call: &Call) -> Self {
        if call.accept.contains("as=PartialObjectMetadata") {
            Self::Metadata
        } else {
            Self::Whole
        }
    }

    pub(crate) fn show(self, object: &Value) -> Value {
        match self {
            Self::Whole => object.clone(),
            Self::Metadata => json!({
                "kind": "PartialObjectMetadata",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": object["metadata"],
            }),
        }
    }
}

pub(super) fn get(api: &Api, call: &Call, target: &Target<'_>) -> Result<Response, Status> {
    let object = live(api, target)?;
    Ok(Json(Form::of(call).show(&object)).into_response())
}

pub(super) fn live(api: &Api, target: &Target<'_>) -> Result<Value, Status> {
    let namespace = Some(target.key.namespace.as_str());
    let found = api
        .store
        .get(&target.resource.plural, namespace, &target.key.name);
    found.ok_or_else(|| target.resource.not_found(&target.key.name))
}

pub(super) fn list(api: &Api, call: &Call, target: &Target<'_>) -> Result<Response, Status> {
    let (version, objects) = selected(api, call, target)?;
    let start = call.parameter("continue").map(Page::parse).transpose()?;
    let page = start.unwrap_or(Page {
        version,
        after: String::new(),
    });
    api.store
        .since(page.version)
        .map_err(|oldest| Status::expired(page.version, oldest))?;
    let mut rest: Vec<_> = objects
        .into_iter()
        .filter(|object| position(object) > page.after)
        .collect();
    let limit = call.number("limit")?.filter(|limit| *limit > 0);
    let limit = limit
        .and_then(|limit| usize::try_from(limit).ok())
        .unwrap_or(usize::MAX);
    let mut metadata = json!({"resourceVersion": page.version.to_string()});
    if rest.len() > limit {
        metadata["remainingItemCount"] = json!(rest.len() - limit);
        rest.truncate(limit);
        let after = rest.last().map(|object| position(object)).unwrap_or_default();
        metadata["continue"] = json!(format!("{}:{after}", page.version));
    }
    let mut body = list_body(target.resource, rest, metadata);
    if Form::of(call) == Form::Metadata {
        body["kind"] = json!("PartialObjectMetadataList");
        body["apiVersion"] = json!("meta.k8s.io/v1");
        for item in body["items"].as_array_mut().into_iter().flatten() {
            *item = Form::Metadata.show(item);
        }
    }
    Ok(Json(body).into_response())
}

/// The objects that a request selects, and the version they were in.
pub(super) fn selected(
    api: &Api,
    call: &Call,
    target: &Target<'_>,
) -> Result<(u64, Vec<Arc<Value>>), Status> {
    let selector = selector(call, target.resource)?;
    let (version, mut objects) = api
        .store
        .snapshot(&target.resource.plural, call.namespace.as_deref());
    objects.retain(|object| selector.matches(object));
    Ok((version, objects))
}

pub(crate) fn selector(call: &Call, resource: &Resource) -> Result<Selector, Status> {
    Selector::parse(
        resource,
        call.parameter("labelSelector"),
        call.parameter("fieldSelector"),
    )
}

/// Items of built-in resources do not say what they are, as in a real list.
pub(super) fn list_body(resource: &Resource, objects: Vec<Arc<Value>>, metadata: Value) -> Value {
    let items: Vec<_> = objects
        .into_iter()
        .map(|object| {
            let mut item = Value::clone(&object);
            if let Some(fields) = item.as_object_mut().filter(|_| !resource.custom) {
                fields.remove("apiVersion");
                fields.remove("kind");
            }
            item
        })
        .collect();
    json!({
        "kind": format!("{}List", resource.kind),
        "apiVersion": resource.api_version(),
        "metadata": metadata,
        "items": items,
    })
}

/// Where a list goes on: after an object, at the version of its first page.
struct Page {
    version: u64,
    after: String,
}

impl Page {
    fn parse(token: &str) -> Result<Self, Status> {
        let parts = token.split_once(':').and_then(|(version, after)| {
            Some(Self {
                version: version.parse().ok()?,
                after: after.to_owned(),
            })
        });
        parts.ok_or_else(|| Status::bad_request("continue key is not valid"))
    }
}

/// Where an object stands in lists. No name holds a control character, so this sorts as the store does.
fn position(object: &Value) -> String {
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
    format!("{}\u{1}{}", text("namespace"), text("name"))
}
