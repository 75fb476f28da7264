//! Containers' logs.

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use futures_util::StreamExt as _;
use serde_json::Value;

use super::Api;
use super::call::{Call, Target};
use crate::logs::{LogQuery, NoLog};
use crate::status::Status;

pub(super) fn log(api: &Api, call: &Call, target: &Target<'_>) -> Result<Response, Status> {
    let key = &target.key;
    let pod = api
        .store
        .get("pods", Some(&key.namespace), &key.name)
        .ok_or_else(|| target.resource.not_found(&key.name))?;
    let container = container(&pod, &key.name, call.parameter("container"))?;
    let uid = pod["metadata"]["uid"].as_str().unwrap_or_default();
    let lines = api
        .logs
        .read(uid, &container, &query(call)?, api.store.now())
        .map_err(|reason| no_log(reason, &pod, &container))?;
    let body = Body::from_stream(lines.map(Ok::<_, std::convert::Infallible>));
    Ok(([(header::CONTENT_TYPE, "text/plain")], body).into_response())
}

fn container(pod: &Value, name: &str, asked: Option<&str>) -> Result<String, Status> {
    let names = |list: &str| {
        let containers = pod["spec"][list].as_array().into_iter().flatten();
        containers
            .filter_map(|container| container["name"].as_str())
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let (inits, main) = (names("initContainers"), names("containers"));
    match (asked, main.as_slice()) {
        (Some(asked), _) if inits.iter().chain(&main).any(|name| name == asked) => Ok(asked.to_owned()),
        (Some(asked), _) => Err(Status::bad_request(format!(
            "container {asked} is not valid for pod {name}"
        ))),
        (None, [only]) if inits.is_empty() => Ok(only.clone()),
        (None, _) => Err(Status::bad_request(format!(
            "a container name must be specified for pod {name}, choose one of: [{}]",
            [inits, main].concat().join(" ")
        ))),
    }
}

fn query(call: &Call) -> Result<LogQuery, Status> {
    let size = |name: &str| -> Result<Option<usize>, Status> {
        Ok(call
            .number(name)?
            .map(|number| usize::try_from(number).unwrap_or(usize::MAX)))
    };
    let since_time = call.parameter("sinceTime").map(|time| {
        DateTime::parse_from_rfc3339(time)
            .map(|time| time.with_timezone(&Utc))
            .map_err(|_| Status::bad_request(format!("sinceTime is no time: {time}")))
    });
    Ok(LogQuery {
        follow: call.flag("follow"),
        timestamps: call.flag("timestamps"),
        since_time: since_time.transpose()?,
        since_seconds: call
            .number("sinceSeconds")?
            .and_then(|seconds| i64::try_from(seconds).ok()),
        tail_lines: size("tailLines")?,
        previous: call.flag("previous"),
        limit_bytes: size("limitBytes")?,
    })
}

fn no_log(reason: NoLog, pod: &Value, container: &str) -> Status {
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    let statuses = ["initContainerStatuses", "containerStatuses"].map(|list| pod["status"][list].as_array());
    let waiting = statuses
        .into_iter()
        .flatten()
        .flatten()
        .find(|status| status["name"] == container)
        .and_then(|status| status["state"]["waiting"]["reason"].as_str())
        .unwrap_or("ContainerCreating");
    Status::bad_request(match reason {
        NoLog::NotStarted => {
            format!("container {container:?} in pod {name:?} is waiting to start: {waiting}")
        }
        NoLog::NoPrevious => format!("previous terminated container {container:?} in pod {name:?} not found"),
    })
}
