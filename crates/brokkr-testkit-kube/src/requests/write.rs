//! Making and changing objects.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::call::{Call, Target};
use super::patch::Patch;
use super::{Api, read};
use crate::apply::{Application, track};
use crate::authorization::Access;
use crate::status::{Cause, Status};

pub(super) fn create(api: &Api, call: &Call, target: &Target<'_>) -> Result<Response, Status> {
    let mut object = call.body.clone();
    check_body(call, target, &mut object)?;
    if object["metadata"]["resourceVersion"]
        .as_str()
        .is_some_and(|version| !version.is_empty())
    {
        return Err(Status::bad_request(
            "resourceVersion should not be set on objects to be created",
        ));
    }
    without_status(target, &mut object, None);
    track(&mut object, None, &call.writer(target), api.store.now());
    let created = api
        .store
        .create_as(&target.resource.plural, object, call.write())?;
    Ok((StatusCode::CREATED, Json(read::Form::of(call).show(&created))).into_response())
}

pub(super) fn update(api: &Api, call: &Call, target: &Target<'_>) -> Result<Response, Status> {
    let mut object = call.body.clone();
    check_body(call, target, &mut object)?;
    change(api, call, target, |_| Ok(object))
}

pub(super) fn patch(api: &Api, call: &Call, target: &Target<'_>) -> Result<Response, Status> {
    let patch = Patch::parse(call)?;
    change(api, call, target, |live| {
        let mut object = live.clone();
        patch.apply(&mut object)?;
        check_body(call, target, &mut object)?;
        Ok(object)
    })
}

fn change(
    api: &Api,
    call: &Call,
    target: &Target<'_>,
    wanted: impl FnOnce(&Value) -> Result<Value, Status>,
) -> Result<Response, Status> {
    let (writer, now) = (call.writer(target), api.store.now());
    let changed = api
        .store
        .update(target.resource, &target.key, call.write(), |live| {
            let mut object = within_part(call, target, live, wanted(live)?);
            track(&mut object, Some(live), &writer, now);
            Ok(object)
        })?;
    Ok(Json(read::Form::of(call).show(&changed)).into_response())
}

pub(super) fn apply(api: &Api, call: &Call, target: &Target<'_>) -> Result<Response, Status> {
    if call.parameter("fieldManager").is_none() {
        let cause = Cause {
            message: "Required value: is required for apply patch".to_owned(),
            ..Cause::required("fieldManager")
        };
        return Err(Status::invalid("meta.k8s.io", "PatchOptions", "", vec![cause]));
    }
    let mut config = call.body.clone();
    check_body(call, target, &mut config)?;
    if config["metadata"]["managedFields"]
        .as_array()
        .is_some_and(|fields| !fields.is_empty())
    {
        return Err(Status::bad_request("metadata.managedFields must be nil"));
    }
    if call.subresource.is_none() {
        without_status(target, &mut config, None);
    }
    let application = Application {
        config: &config,
        writer: call.writer(target),
        force: call.flag("force"),
        now: api.store.now(),
    };
    loop {
        let changed = api
            .store
            .update(target.resource, &target.key, call.write(), |live| {
                Ok(within_part(call, target, live, application.to(Some(live))?))
            });
        match changed {
            Ok(object) => return Ok(Json(read::Form::of(call).show(&object)).into_response()),
            Err(status) if is_absent(&status, target) && call.subresource.is_none() => {}
            Err(status) => return Err(status),
        }
        match create_applied(api, call, target, &application) {
            // Somebody else was quicker: it is a change then.
            Err(status) if status.reason == "AlreadyExists" => {}
            answer => return answer,
        }
    }
}

fn is_absent(status: &Status, target: &Target<'_>) -> bool {
    status.code == 404
        && status.details.name == target.key.name
        && status.details.kind == target.resource.plural
}

fn create_applied(
    api: &Api,
    call: &Call,
    target: &Target<'_>,
    application: &Application<'_>,
) -> Result<Response, Status> {
    api.authorization.check(Access {
        verb: "create",
        ..call.access()
    })?;
    if !application.config["metadata"]["uid"].is_null() {
        let why = "uid mismatch: the provided object specified a uid, and no existing object was found";
        return Err(target.resource.conflict(&target.key.name, why));
    }
    let object = application.to(None)?;
    let created = api
        .store
        .create_as(&target.resource.plural, object, call.write())?;
    Ok((StatusCode::CREATED, Json(read::Form::of(call).show(&created))).into_response())
}

/// A write to an object leaves its status as it is, and a write to the status everything else.
fn within_part(call: &Call, target: &Target<'_>, live: &Value, mut object: Value) -> Value {
    if call.subresource.is_none() {
        without_status(target, &mut object, Some(live));
        return object;
    }
    let mut written = live.clone();
    written["status"] = object["status"].take();
    let metadata = &object["metadata"];
    for field in ["resourceVersion", "uid", "managedFields"] {
        if !metadata[field].is_null() {
            written["metadata"][field] = metadata[field].clone();
        }
    }
    written
}

fn without_status(target: &Target<'_>, object: &mut Value, live: Option<&Value>) {
    let Some(fields) = object.as_object_mut().filter(|_| target.resource.status) else {
        return;
    };
    match live.and_then(|live| live.get("status")) {
        Some(status) => fields.insert("status".to_owned(), status.clone()),
        None => fields.remove("status"),
    };
}

/// The body has to be about what the path is about, and may leave out what that says.
fn check_body(call: &Call, target: &Target<'_>, object: &mut Value) -> Result<(), Status> {
    if !object.is_object() || !(object["metadata"].is_object() || object["metadata"].is_null()) {
        return Err(Status::bad_request("the object provided is unrecognized"));
    }
    let resource = target.resource;
    for (field, expected) in [("apiVersion", &resource.api_version()), ("kind", &resource.kind)] {
        match object[field].as_str() {
            Some(value) if value == expected => {}
            Some(value) => {
                let message =
                    format!("{field} of the object provided is {value}, where {expected} was expected");
                return Err(Status::bad_request(message));
            }
            None => return Err(Status::bad_request(format!("Object '{field}' is missing"))),
        }
    }
    let expected = [
        ("namespace", call.namespace.as_deref()),
        ("name", Some(call.name()).filter(|name| !name.is_empty())),
    ];
    for (field, expected) in expected {
        let Some(expected) = expected else { continue };
        match object["metadata"][field]
            .as_str()
            .filter(|value| !value.is_empty())
        {
            Some(value) if value != expected => {
                return Err(Status::bad_request(format!(
                    "the {field} of the object ({value}) does not match the {field} on the URL ({expected})"
                )));
            }
            _ => object["metadata"][field] = json!(expected),
        }
    }
    Ok(())
}
