//! What this agent does at all, whatever the broker asks for.

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
}

impl AgentPolicy {
    /// Decides about work of one type.
    ///
    /// # Errors
    /// The rule that forbids it.
    pub fn permits(&self, work_type: &str) -> Result<(), PolicyError> {
        if let Some(allowed) = self
            .work_types
            .as_ref()
            .filter(|allowed| !allowed.contains(work_type))
        {
            let allowed = allowed.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            return Err(PolicyError::WorkTypeNotAllowed {
                work_type: work_type.to_owned(),
                allowed,
            });
        }
        match work_type {
            COMMAND if !self.allow_commands => Err(PolicyError::CommandsNotAllowed),
            _ => Ok(()),
        }
    }
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
