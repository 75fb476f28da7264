//! Deletions.

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::Api;
use super::call::{Call, Target};
use super::read;
use crate::status::{Details, Status, success};
use crate::store::{DeleteOptions, Deletion, Key, Propagation, Write};

pub(super) fn one(api: &Api, call: &Call, target: &Target<'_>) -> Result<Response, Status> {
    let deletion = api
        .store
        .delete_at(target.resource, &target.key, &options(call)?)?;
    let body = match deletion {
        Deletion::Pending(object) => object,
        Deletion::Gone(object) => success(&Details {
            name: target.key.name.clone(),
            group: target.resource.group.clone(),
            kind: target.resource.plural.clone(),
            uid: object["metadata"]["uid"].as_str().unwrap_or_default().to_owned(),
            ..Details::default()
        }),
    };
    Ok(Json(body).into_response())
}

/// Answers the objects as they were before.
pub(super) fn all(api: &Api, call: &Call, target: &Target<'_>) -> Result<Response, Status> {
    let options = options(call)?;
    let (version, objects) = read::selected(api, call, target)?;
    for object in &objects {
        let metadata = &object["metadata"];
        let name = metadata["name"].as_str().unwrap_or_default();
        let key = Key::new(&target.resource.plural, metadata["namespace"].as_str(), name);
        match api.store.delete_at(target.resource, &key, &options) {
            Ok(_) => {}
            // Somebody else deleted it meanwhile.
            Err(status) if status.code == 404 => {}
            Err(status) => return Err(status),
        }
    }
    let body = read::list_body(
        target.resource,
        objects,
        json!({"resourceVersion": version.to_string()}),
    );
    Ok(Json(body).into_response())
}

/// The options come in the body, or else in the query.
fn options(call: &Call) -> Result<DeleteOptions, Status> {
    let unreadable = |error| Status::bad_request(format!("the delete options cannot be read: {error}"));
    let mut options: DeleteOptions = if call.body.is_null() {
        DeleteOptions::default()
    } else {
        serde_json::from_value(call.body.clone()).map_err(unreadable)?
    };
    if let Some(seconds) = call.number("gracePeriodSeconds")? {
        options.grace_period_seconds = i64::try_from(seconds).ok();
    }
    if let Some(policy) = call.parameter("propagationPolicy") {
        let policy: Propagation = serde_json::from_value(json!(policy)).map_err(unreadable)?;
        options.propagation_policy = Some(policy);
    }
    if call.write() == Write::DryRun {
        options.dry_run = vec!["All".to_owned()];
    }
    Ok(options)
}
