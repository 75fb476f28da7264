//! What this agent does at all, whatever the broker asks for.
//!
//! [`AgentPolicy`] holds on any host; [`ClusterPolicy`] comes from a file beside the agent and holds for work in its cluster.

mod cluster;
mod file;
mod images;
mod kinds;
mod outline;
mod pattern;
mod pods;
mod windows;

pub use cluster::ClusterPolicy;
pub use file::PolicyFileError;
pub use outline::NamedKind;
pub use windows::Window;

use std::collections::BTreeSet;

/// The work type of commands.
pub const COMMAND: &str = "command";

/// The agent's own rules. The default refuses everything that could do harm.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AgentPolicy {
    /// Whether work of type `command` may run on this host.
    pub allow_commands: bool,
    /// The work types that may run; without it, every type that the other rules allow.
    pub work_types: Option<BTreeSet<String>>,
}

/// The rule that stands against some work. Written for the person who submitted it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Commands are off.
    #[error("this agent's policy does not allow commands (start it with --allow-commands)")]
    CommandsNotAllowed,
    /// The type is not on the list.
    #[error("this agent's policy does not allow work of type {work_type} (its work types are: {allowed})")]
    WorkTypeNotAllowed {
        /// What was asked for.
        work_type: String,
        /// What would be allowed, separated by commas.
        allowed: String,
    },
    /// The namespace is not on the list.
    #[error("this agent's policy does not allow the namespace {namespace} (namespaces.allow: {allowed})")]
    NamespaceNotAllowed {
        /// Where the object would go.
        namespace: String,
        /// What would be allowed, separated by commas.
        allowed: String,
    },
    /// The kind is on the list of those that are denied.
    #[error("this agent's policy denies {kind} (kinds.deny)")]
    KindDenied {
        /// Kind and group.
        kind: String,
    },
    /// The kind belongs to the whole cluster.
    #[error(
        "this agent's policy does not allow {kind}, which belongs to the whole cluster (it is not on kinds.allowClusterScoped)"
    )]
    ClusterScoped {
        /// Kind and group.
        kind: String,
    },
    /// Who may create such an object can give himself more rights than the agent's policy means to.
    #[error(
        "this agent's policy does not allow {kind}, which can give more rights than this policy does (it is not on kinds.allow)"
    )]
    Powerful {
        /// Kind and group.
        kind: String,
    },
    /// The image is not on the list.
    #[error("this agent's policy does not allow the image {image} in {field} (images.allow)")]
    ImageNotAllowed {
        /// Path of the field.
        field: String,
        /// The image as it was submitted.
        image: String,
    },
    /// The service account is not on the list.
    #[error(
        "this agent's policy does not allow the service account {account} in {field} (serviceAccounts.allow)"
    )]
    ServiceAccountNotAllowed {
        /// Path of the field.
        field: String,
        /// Its name.
        account: String,
    },
    /// A container would not be confined to itself.
    #[error("this agent's policy does not allow {field}, which opens the node to the container (privileged)")]
    Privileged {
        /// Path of the field.
        field: String,
    },
}

impl PolicyError {
    /// The field of the object that the rule is about, where it is about one.
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::ImageNotAllowed { field, .. }
            | Self::ServiceAccountNotAllowed { field, .. }
            | Self::Privileged { field } => Some(field),
            Self::NamespaceNotAllowed { .. } => Some("metadata.namespace"),
            Self::KindDenied { .. } | Self::ClusterScoped { .. } | Self::Powerful { .. } => Some("kind"),
            Self::CommandsNotAllowed | Self::WorkTypeNotAllowed { .. } => None,
        }
    }
}

impl AgentPolicy {
    /// Decides about work of one type.
    ///
    /// # Errors
    /// The rule that forbids it.
    pub fn permits(&self, work_type: &str) -> Result<(), PolicyError> {
        permits_type(self.work_types.as_ref(), work_type)?;
        match work_type {
            COMMAND if !self.allow_commands => Err(PolicyError::CommandsNotAllowed),
            _ => Ok(()),
        }
    }
}

fn permits_type(allowed: Option<&BTreeSet<String>>, work_type: &str) -> Result<(), PolicyError> {
    match allowed {
        Some(allowed) if !allowed.contains(work_type) => Err(PolicyError::WorkTypeNotAllowed {
            work_type: work_type.to_owned(),
            allowed: listed(allowed),
        }),
        _ => Ok(()),
    }
}

fn listed(items: impl IntoIterator<Item: ToString>) -> String {
    let items: Vec<_> = items.into_iter().map(|item| item.to_string()).collect();
    items.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_off_unless_allowed() {
        assert_eq!(
            AgentPolicy::default().permits(COMMAND),
            Err(PolicyError::CommandsNotAllowed)
        );
        let policy = AgentPolicy {
            allow_commands: true,
            ..AgentPolicy::default()
        };
        assert_eq!(policy.permits(COMMAND), Ok(()));
    }

    #[test]
    fn a_list_of_work_types_excludes_all_others_and_says_so() {
        let policy = AgentPolicy {
            allow_commands: true,
            work_types: Some(BTreeSet::from(["build".to_owned(), "custom".to_owned()])),
        };
        let error = policy.permits(COMMAND).unwrap_err();
        assert!(error.to_string().contains("build, custom"), "{error}");
        assert_eq!(policy.permits("build"), Ok(()));
    }

    #[test]
    fn naming_the_type_does_not_allow_commands() {
        let policy = AgentPolicy {
            allow_commands: false,
            work_types: Some(BTreeSet::from([COMMAND.to_owned()])),
        };
        assert_eq!(policy.permits(COMMAND), Err(PolicyError::CommandsNotAllowed));
    }
}
