//! What is asked of the API about one object, or about those with certain labels.

mod apply;
mod create;

pub use apply::{ApplyError, Conflict};
pub use create::{CreateError, Created};

use std::time::Duration;

use ::kube::api::{
    DeleteParams, DynamicObject, GetParams, ListParams, ObjectList, Patch, PatchParams, Preconditions,
    PropagationPolicy, TypeMeta,
};
use ::kube::core::request::Error as RequestError;
use ::kube::core::{Request, Resource, Status};
use serde_json::Value;

use crate::kube::labels::BROKKR;
use crate::kube::{ApiFailure, Cluster, Kind, ObjectRef};

/// How many objects one page of a list has.
const PAGE: u32 = 500;
/// How often a list starts over when the API has forgotten where it was.
const LISTS_MAX: usize = 5;

impl Cluster {
    /// The object as it is now, or nothing when it is not there.
    ///
    /// # Errors
    /// When the API refuses it, or stays unreachable for longer than there is patience.
    pub async fn get(&self, at: &ObjectRef) -> Result<Option<DynamicObject>, ApiFailure> {
        let operation = format!("read {at}");
        let request = built(&operation, requests(at), |requests| {
            requests.get(&at.name, &GetParams::default())
        })?;
        or_absent(self.send(&operation, &request).await)
    }

    /// Every object with these labels, in one namespace or in all.
    ///
    /// # Errors
    /// When the API refuses it, or stays unreachable for longer than there is patience.
    pub async fn list(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        labels: &str,
    ) -> Result<Vec<DynamicObject>, ApiFailure> {
        let operation = format!("list {kind} objects with {labels}");
        let mut lists = 1;
        loop {
            match self.list_once(&operation, kind, namespace, labels).await {
                // The API forgets where a list was after some minutes (410 Expired), and has to begin again.
                Err(failure) if failure.status() == Some(410) && lists < LISTS_MAX => lists += 1,
                result => return result,
            }
        }
    }

    async fn list_once(
        &self,
        operation: &str,
        kind: &Kind,
        namespace: Option<&str>,
        labels: &str,
    ) -> Result<Vec<DynamicObject>, ApiFailure> {
        let mut params = ListParams::default().labels(labels).limit(PAGE);
        let mut objects = Vec::new();
        loop {
            let request = built(operation, collection(kind, namespace), |requests| {
                requests.list(&params)
            })?;
            let page: ObjectList<DynamicObject> = self.send(operation, &request).await?;
            objects.extend(page.items.into_iter().map(|object| typed(object, kind)));
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params.continue_token = Some(token),
                None => return Ok(objects),
            }
        }
    }

    /// Changes some fields (JSON merge patch) and answers the object, or nothing when it is not there.
    ///
    /// # Errors
    /// When the API refuses it, or stays unreachable for longer than there is patience.
    pub async fn merge(&self, at: &ObjectRef, patch: &Value) -> Result<Option<DynamicObject>, ApiFailure> {
        let operation = format!("change {at}");
        let params = PatchParams {
            field_manager: Some(BROKKR.to_owned()),
            ..PatchParams::default()
        };
        let request = built(&operation, requests(at), |requests| {
            requests.patch(&at.name, &params, &Patch::Merge(patch))
        })?;
        or_absent(self.send(&operation, &request).await)
    }

    /// Has the object deleted, in the foreground (it goes after everything that it owns) or in the background. With `uid` only
    /// that very object. Answers whether it was there; it may stay there until its finalizers have run.
    ///
    /// # Errors
    /// When the API refuses it, or stays unreachable for longer than there is patience.
    pub async fn delete(
        &self,
        at: &ObjectRef,
        uid: Option<&str>,
        foreground: bool,
        grace: Option<Duration>,
    ) -> Result<bool, ApiFailure> {
        let operation = format!("delete {at}");
        let params = DeleteParams {
            dry_run: false,
            grace_period_seconds: grace.map(whole_seconds),
            propagation_policy: Some(if foreground {
                PropagationPolicy::Foreground
            } else {
                PropagationPolicy::Background
            }),
            preconditions: uid.map(|uid| Preconditions {
                resource_version: None,
                uid: Some(uid.to_owned()),
            }),
        };
        let request = built(&operation, requests(at), |requests| {
            requests.delete(&at.name, &params)
        })?;
        match self.send::<Value>(&operation, &request).await {
            Ok(_) => Ok(true),
            Err(failure) if failure.status() == Some(404) => Ok(false),
            // Either the name belongs to another object by now, or (a namespace) it is being deleted already.
            Err(failure) if failure.status() == Some(409) => {
                let present = self.get(at).await?;
                Ok(present.is_some_and(|object| uid.is_none() || object.metadata.uid.as_deref() == uid))
            }
            Err(failure) => Err(failure),
        }
    }
}

/// Seconds as the API takes them, rounded up: a grace of none at all would kill without asking.
pub(super) fn whole_seconds(grace: Duration) -> u32 {
    let seconds = grace.as_secs() + u64::from(0 < grace.subsec_nanos());
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

/// Nothing in the place of a 404.
fn or_absent<T>(result: Result<T, ApiFailure>) -> Result<Option<T>, ApiFailure> {
    match result {
        Ok(answer) => Ok(Some(answer)),
        Err(failure) if failure.status() == Some(404) => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// Builds a request, or says that it cannot be one.
pub(super) fn built<T>(
    operation: &str,
    requests: Result<Request, NoName>,
    build: impl FnOnce(Request) -> Result<T, RequestError>,
) -> Result<T, ApiFailure> {
    let built = match requests {
        Ok(requests) => build(requests).map_err(::kube::Error::BuildRequest),
        Err(no_name) => Err(::kube::Error::Api(no_name.status().boxed())),
    };
    built.map_err(|source| ApiFailure {
        operation: operation.to_owned(),
        source,
    })
}

/// Something that would lead to another path.
pub(super) struct NoName(String);

impl NoName {
    /// What the API server answers to such names.
    fn status(&self) -> Status {
        Status::failure(&format!("{:?} is no name", self.0), "Invalid").with_code(422)
    }
}

/// Requests about objects beside this one.
pub(super) fn requests(at: &ObjectRef) -> Result<Request, NoName> {
    check_segment(&at.name)?;
    collection(&at.kind, at.namespace.as_deref())
}

pub(super) fn collection(kind: &Kind, namespace: Option<&str>) -> Result<Request, NoName> {
    if let Some(namespace) = namespace {
        check_segment(namespace)?;
    }
    Ok(Request::new(DynamicObject::url_path(&kind.resource, namespace)))
}

/// Names become parts of a path (rule: `k8s.io/apimachinery/pkg/api/validation/path`, and what would end or hide a path).
fn check_segment(name: &str) -> Result<(), NoName> {
    let odd = |c: char| {
        matches!(c, '/' | '%' | '?' | '#' | '\\') || c.is_whitespace() || c.is_control() || !c.is_ascii()
    };
    if name.is_empty() || name == "." || name == ".." || name.contains(odd) {
        return Err(NoName(name.to_owned()));
    }
    Ok(())
}

/// Items of a list do not say what they are.
pub(super) fn typed(mut object: DynamicObject, kind: &Kind) -> DynamicObject {
    object.types.get_or_insert_with(|| TypeMeta {
        api_version: kind.resource.api_version.clone(),
        kind: kind.resource.kind.clone(),
    });
    object
}

/// The object as it is sent: what it is and where it goes is said by `at`.
fn placed(object: &DynamicObject, at: &ObjectRef) -> DynamicObject {
    let mut object = object.clone();
    object.types = None;
    object = typed(object, &at.kind);
    object.metadata.name = Some(at.name.clone());
    object.metadata.namespace.clone_from(&at.namespace);
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grace_is_rounded_up() {
        assert_eq!(whole_seconds(Duration::ZERO), 0);
        assert_eq!(whole_seconds(Duration::from_millis(1)), 1);
        assert_eq!(whole_seconds(Duration::from_secs(30)), 30);
    }

    #[test]
    fn a_name_cannot_lead_to_another_path() {
        for odd in [
            "",
            ".",
            "..",
            "../../kube-system/secrets/x",
            "a?dryRun=All",
            "a%2Fb",
            "a#b",
            "a b",
            "ä",
        ] {
            assert!(check_segment(odd).is_err(), "{odd}");
        }
        for usual in ["migrate-1a2b3c-1", "system:node", "jobs.example.com"] {
            assert!(check_segment(usual).is_ok(), "{usual}");
        }
    }
}
