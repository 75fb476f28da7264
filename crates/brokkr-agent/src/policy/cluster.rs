//! What the agent does in its cluster.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::images::ImagePattern;
use super::kinds::KindRules;
use super::pattern::Pattern;
use super::pods::{self, PodSpec};
use super::windows::{self, MaintenanceWindow, Window};
use super::{PolicyError, PolicyFileError, file, listed, permits_type};
use crate::kube::Kind;

/// The rules of one cluster, which the broker cannot change. The default allows what keeps to the agent's own namespace, gives
/// no rights and leaves the nodes alone.
#[derive(Debug, Clone, Default)]
pub struct ClusterPolicy {
    pub(super) work_types: Option<BTreeSet<String>>,
    pub(super) namespaces: Option<Vec<Pattern>>,
    pub(super) kinds: KindRules,
    pub(super) images: Option<Vec<ImagePattern>>,
    pub(super) service_accounts: Option<Vec<Pattern>>,
    pub(super) default_service_accounts: BTreeMap<String, String>,
    pub(super) privileged: bool,
    pub(super) windows: Vec<MaintenanceWindow>,
    pub(super) slots: BTreeMap<String, usize>,
}

impl ClusterPolicy {
    /// Reads the rules, which are written in YAML.
    ///
    /// # Errors
    /// Whenever anything in it is unknown or senseless: a rule that is not understood must not be skipped.
    pub fn parse(yaml: &str) -> Result<Self, PolicyFileError> {
        file::read(yaml)
    }

    /// The work types that may run; without it, every type that the other rules allow.
    pub fn work_types(&self) -> Option<&BTreeSet<String>> {
        self.work_types.as_ref()
    }

    /// Decides about work of one type.
    ///
    /// # Errors
    /// The rule that forbids it.
    pub fn permits(&self, work_type: &str) -> Result<(), PolicyError> {
        permits_type(self.work_types.as_ref(), work_type)
    }

    /// Decides about one object that is to be created or changed. `namespace` is where it would go, nothing when its kind
    /// belongs to the whole cluster; `own_namespace` is the agent's.
    ///
    /// # Errors
    /// The rule that forbids it.
    pub fn check(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        object: &Value,
        own_namespace: &str,
    ) -> Result<(), PolicyError> {
        self.kinds.check(kind)?;
        // A namespace is what this rule is about, so its own name counts.
        let is_namespace = kind.resource.group.is_empty() && kind.resource.kind == "Namespace";
        let named = object["metadata"]["name"].as_str().filter(|_| is_namespace);
        if let Some(namespace) = namespace.or(named) {
            self.check_namespace(namespace, own_namespace)?;
        }
        for pod in pods::found_in(object) {
            self.check_pod(&pod)?;
        }
        Ok(())
    }

    /// Decides about a namespace.
    ///
    /// # Errors
    /// The rule that forbids it.
    pub fn check_namespace(&self, namespace: &str, own_namespace: &str) -> Result<(), PolicyError> {
        let (fits, allowed) = match &self.namespaces {
            Some(patterns) => (
                patterns.iter().any(|pattern| pattern.matches(namespace)),
                listed(patterns),
            ),
            None => (
                namespace == own_namespace,
                format!("only {own_namespace}, the agent's own"),
            ),
        };
        if fits {
            return Ok(());
        }
        Err(PolicyError::NamespaceNotAllowed {
            namespace: namespace.to_owned(),
            allowed,
        })
    }

    fn check_pod(&self, pod: &PodSpec<'_>) -> Result<(), PolicyError> {
        if let Some(patterns) = &self.images {
            for (field, image) in pod.images() {
                if !patterns.iter().any(|pattern| pattern.matches(image)) {
                    return Err(PolicyError::ImageNotAllowed {
                        field,
                        image: image.to_owned(),
                    });
                }
            }
        }
        if let Some((field, account)) = pod.service_account() {
            self.check_service_account(&field, account)?;
        }
        match pod.opening().filter(|_| !self.privileged) {
            Some(field) => Err(PolicyError::Privileged { field }),
            None => Ok(()),
        }
    }

    /// Decides about a service account that work asks for in a field.
    ///
    /// # Errors
    /// The rule that forbids it.
    pub fn check_service_account(&self, field: &str, account: &str) -> Result<(), PolicyError> {
        match &self.service_accounts {
            Some(patterns) if !patterns.iter().any(|pattern| pattern.matches(account)) => {
                Err(PolicyError::ServiceAccountNotAllowed {
                    field: field.to_owned(),
                    account: account.to_owned(),
                })
            }
            _ => Ok(()),
        }
    }

    /// The service account of work in this namespace that names none.
    pub fn default_service_account(&self, namespace: &str) -> Option<&str> {
        self.default_service_accounts.get(namespace).map(String::as_str)
    }

    /// Whether work may begin now. What runs is not stopped when a window closes.
    pub fn window(&self, now: DateTime<Utc>) -> Window {
        windows::state(&self.windows, now)
    }

    /// How much work of this type may run at the same time, where that is set.
    pub fn slots(&self, work_type: &str) -> Option<usize> {
        self.slots.get(work_type).copied()
    }
}

#[cfg(test)]
mod tests;
