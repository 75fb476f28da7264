//! Which kinds the cluster serves.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ::kube::api::ApiResource;
use ::kube::core::GroupVersion;
use http::Request;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::APIResourceList;
use serde::Deserialize;
use tokio::time::Instant;

use crate::kube::{ApiFailure, Cluster};

/// A miss asks the cluster again no sooner than this many times the first wait of a retry after it was asked last.
const REFRESH_WAITS: u32 = 8;

/// A kind that the cluster serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kind {
    /// How it is addressed.
    pub resource: ApiResource,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.resource.kind)
    }
}

/// What is known so far; asked again when something is missing.
#[derive(Default)]
pub(crate) struct Kinds(Mutex<HashMap<String, Known>>);

/// What one group and version serves.
struct Known {
    kinds: HashMap<String, Kind>,
    asked_at: Instant,
}

impl Kinds {
    fn known(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServerVersion {
    git_version: String,
}

impl Cluster {
    /// The version of the API server, like `v1.33.2`. Asked once, without patience, so that it tells whether the API answers
    /// now, and how quickly.
    ///
    /// # Errors
    /// When it does not answer within the limit of a request.
    pub async fn version(&self) -> Result<String, ApiFailure> {
        let operation = "ask the API server for its version";
        let result = match get("/version") {
            Ok(request) => self.send_once::<ServerVersion>(&request).await,
            Err(error) => Err(error),
        };
        match result {
            Ok(version) => Ok(version.git_version),
            Err(source) => Err(failed(operation, source)),
        }
    }

    /// How a kind is addressed, or nothing when the cluster does not serve it. What is not known yet is asked for.
    ///
    /// # Errors
    /// When the cluster cannot be asked.
    pub async fn kind(&self, api_version: &str, kind: &str) -> Result<Option<Kind>, ApiFailure> {
        if let Some(known) = self.known_kind(api_version, kind) {
            return Ok(known);
        }
        let kinds = self.served(api_version).await?;
        let found = kinds.get(kind).cloned();
        let asked_at = Instant::now();
        self.kinds
            .known()
            .insert(api_version.to_owned(), Known { kinds, asked_at });
        Ok(found)
    }

    /// Forgets what a group serves, because it is about to serve more.
    pub(crate) fn forget(&self, group: &str) {
        self.kinds.known().retain(|api_version, _| {
            !api_version
                .parse::<GroupVersion>()
                .is_ok_and(|known| known.group == group)
        });
    }

    /// The kind, or that it was not there a moment ago.
    fn known_kind(&self, api_version: &str, kind: &str) -> Option<Option<Kind>> {
        let known = self.kinds.known();
        let known = known.get(api_version)?;
        if let Some(kind) = known.kinds.get(kind) {
            return Some(Some(kind.clone()));
        }
        let fresh = known.asked_at.elapsed() < self.timing.retry_first * REFRESH_WAITS;
        fresh.then_some(None)
    }

    async fn served(&self, api_version: &str) -> Result<HashMap<String, Kind>, ApiFailure> {
        let operation = format!("ask which kinds {api_version} has");
        let Some(path) = path_of(api_version) else {
            return Ok(HashMap::new());
        };
        let request = get(&path).map_err(|source| failed(&operation, source))?;
        match self.send::<APIResourceList>(&operation, &request).await {
            Ok(list) => Ok(kinds_of(api_version, list)),
            Err(failure) if failure.status() == Some(404) => Ok(HashMap::new()),
            Err(failure) => Err(failure),
        }
    }
}

fn failed(operation: &str, source: ::kube::Error) -> ApiFailure {
    ApiFailure {
        operation: operation.to_owned(),
        source,
    }
}

fn get(path: &str) -> Result<Request<Vec<u8>>, ::kube::Error> {
    Request::get(path)
        .body(Vec::new())
        .map_err(::kube::Error::HttpError)
}

/// Where a group and version says what it serves. Nothing for what cannot be one (DNS names and versions only).
fn path_of(api_version: &str) -> Option<String> {
    let label =
        |label: &str| !label.is_empty() && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    let plain = |part: &str| part.split('.').all(label);
    match api_version.split_once('/') {
        None if plain(api_version) => Some(format!("/api/{api_version}")),
        Some((group, version)) if plain(group) && plain(version) => Some(format!("/apis/{group}/{version}")),
        _ => None,
    }
}

fn kinds_of(api_version: &str, list: APIResourceList) -> HashMap<String, Kind> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let mut kinds = HashMap::new();
    // Names with a slash are subresources. Some of those have a kind of their own, which cannot be created by itself.
    for served in list
        .resources
        .into_iter()
        .filter(|served| !served.name.contains('/'))
    {
        kinds.entry(served.kind.clone()).or_insert_with(|| Kind {
            resource: ApiResource {
                group: group.to_owned(),
                version: version.to_owned(),
                api_version: api_version.to_owned(),
                kind: served.kind,
                plural: served.name,
            },
            namespaced: served.namespaced,
        });
    }
    kinds
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn subresources_are_not_kinds() {
        let list = json!({"groupVersion": "apps/v1", "resources": [
            {"name": "deployments/scale", "singularName": "", "namespaced": true, "kind": "Scale", "verbs": ["get"]},
            {"name": "deployments", "singularName": "", "namespaced": true, "kind": "Deployment", "verbs": ["get"]},
        ]});
        let kinds = kinds_of("apps/v1", serde_json::from_value(list).unwrap());
        assert_eq!(kinds.len(), 1);
        let deployment = &kinds["Deployment"];
        assert!(deployment.namespaced);
        assert_eq!(deployment.resource.plural, "deployments");
        assert_eq!(
            (
                deployment.resource.group.as_str(),
                deployment.resource.version.as_str()
            ),
            ("apps", "v1")
        );
    }

    #[test]
    fn what_is_no_group_and_version_is_not_asked_for() {
        assert_eq!(path_of("v1").as_deref(), Some("/api/v1"));
        assert_eq!(path_of("batch/v1").as_deref(), Some("/apis/batch/v1"));
        for odd in [
            "",
            "a/b/c",
            "../v1",
            "batch/",
            "v1?watch=true",
            "batch/v1/jobs",
            "a b",
        ] {
            assert_eq!(path_of(odd), None, "{odd}");
        }
    }
}
