//! Server-side apply: what the order says about an object, and nothing else, becomes ours.

use ::kube::api::{DynamicObject, Patch, PatchParams};

use super::create::{Write, creation};
use super::{built, placed, requests};
use crate::kube::labels::BROKKR;
use crate::kube::send::managers_conflicts;
use crate::kube::{ApiFailure, Cluster, ObjectRef};

/// A field that somebody else manages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The path of the field.
    pub field: String,
    /// Who manages it.
    pub manager: String,
}

/// Why an object was not applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Other managers hold some of its fields.
    #[error("{what} has fields that others manage: {}", listed(.conflicts))]
    Conflicts {
        /// Kind, namespace and name.
        what: String,
        /// Which fields, and whose.
        conflicts: Vec<Conflict>,
    },
    /// The API refused it or could not be reached.
    #[error(transparent)]
    Api(#[from] ApiFailure),
}

fn listed(conflicts: &[Conflict]) -> String {
    let each = conflicts
        .iter()
        .map(|Conflict { field, manager }| format!("{field} ({manager})"));
    each.collect::<Vec<_>>().join(", ")
}

impl Cluster {
    /// Applies the object as field manager `brokkr`. With `force` fields that others manage become ours.
    ///
    /// # Errors
    /// When others manage some of its fields, the API refuses it, or stays unreachable for longer than there is patience.
    pub async fn apply(
        &self,
        at: &ObjectRef,
        object: &DynamicObject,
        force: bool,
    ) -> Result<DynamicObject, ApplyError> {
        self.apply_as(at, object, force, Write::ForGood).await
    }

    /// What [`apply`](Self::apply) would do, without doing it.
    ///
    /// # Errors
    /// Those of applying.
    pub async fn check_apply(
        &self,
        at: &ObjectRef,
        object: &DynamicObject,
        force: bool,
    ) -> Result<DynamicObject, ApplyError> {
        self.apply_as(at, object, force, Write::DryRun).await
    }

    async fn apply_as(
        &self,
        at: &ObjectRef,
        object: &DynamicObject,
        force: bool,
        write: Write,
    ) -> Result<DynamicObject, ApplyError> {
        let operation = format!("apply {at}");
        let params = PatchParams {
            dry_run: write == Write::DryRun,
            force,
            ..PatchParams::apply(BROKKR).validation_strict()
        };
        let patch = Patch::Apply(placed(object, at));
        let request = built(&operation, requests(at), |requests| {
            requests.patch(&at.name, &params, &patch)
        })?;
        let mut result = self.send_unless(&operation, &request, is_unexplained).await;
        if result
            .as_ref()
            .is_err_and(|failure| is_unexplained(&failure.source))
        {
            self.refusal(at, object).await?;
            result = self.send(&operation, &request).await;
        }
        result.map_err(|failure| conflicts(at, failure))
    }

    /// Fails with why the API refuses the object, if it does. Server-side apply answers a field that its schema does not know
    /// with 500 and no reason, as if it were the API's own fault; creating answers 400, before it looks whether the object exists.
    async fn refusal(&self, at: &ObjectRef, object: &DynamicObject) -> Result<(), ApiFailure> {
        let operation = format!("apply {at}");
        let request = creation(&operation, at, object, Write::DryRun)?;
        match self.send::<DynamicObject>(&operation, &request).await {
            Err(failure) if matches!(failure.status(), Some(400 | 422)) => Err(failure),
            _ => Ok(()),
        }
    }
}

fn is_unexplained(error: &::kube::Error) -> bool {
    matches!(error, ::kube::Error::Api(status) if status.code == 500 && status.reason.is_empty())
}

fn conflicts(at: &ObjectRef, failure: ApiFailure) -> ApplyError {
    let ::kube::Error::Api(status) = &failure.source else {
        return failure.into();
    };
    let conflicts: Vec<_> = managers_conflicts(status)
        .map(|(field, message)| Conflict {
            field: field.to_owned(),
            manager: manager_of(message),
        })
        .collect();
    if conflicts.is_empty() {
        return failure.into();
    }
    ApplyError::Conflicts {
        what: at.to_string(),
        conflicts,
    }
}

/// The API names the manager only in words for people, between the first quotation marks. It is only shown.
fn manager_of(message: &str) -> String {
    message.split('"').nth(1).unwrap_or(message).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manager_is_shown_without_the_words_around_it() {
        assert_eq!(manager_of("conflict with \"kubectl\" using apps/v1"), "kubectl");
        assert_eq!(
            manager_of("conflict with \"hpa\" with subresource \"scale\""),
            "hpa"
        );
        assert_eq!(manager_of("someone"), "someone");
    }

    #[test]
    fn every_conflict_is_named_by_field_and_manager() {
        let conflict = |field: &str, manager: &str| Conflict {
            field: field.to_owned(),
            manager: manager.to_owned(),
        };
        let error = ApplyError::Conflicts {
            what: "Deployment shop/web".to_owned(),
            conflicts: vec![
                conflict(".spec.replicas", "hpa"),
                conflict(".spec.paused", "kubectl"),
            ],
        };
        assert_eq!(
            error.to_string(),
            "Deployment shop/web has fields that others manage: .spec.replicas (hpa), .spec.paused (kubectl)"
        );
    }
}
