//! Who calls.

use brokkr_core::pak::ShortPart;

pub use crate::dal::credentials::Role;

/// An authenticated caller: a role and the short part of the key that proved it, and what the request said of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// What the caller may be.
    pub role: Role,
    /// Names the key in the audit and in logs.
    pub key: ShortPart,
    /// Finds the request in logs; kept in the audit.
    pub request_id: Option<String>,
    /// The W3C trace context of the request, as it came.
    pub traceparent: Option<String>,
}

impl Caller {
    /// A caller outside of any request.
    #[must_use]
    pub const fn new(role: Role, key: ShortPart) -> Self {
        Self {
            role,
            key,
            request_id: None,
            traceparent: None,
        }
    }

    /// The caller in one word, as the audit and `submitted_by` name it: `admin:<short>`, `agent:<id>` and so on.
    #[must_use]
    pub fn actor(&self) -> String {
        match self.role {
            Role::Admin => format!("admin:{}", self.key),
            Role::Viewer => format!("viewer:{}", self.key),
            Role::Agent(id) => format!("agent:{id}"),
            Role::Generator(id) => format!("generator:{id}"),
        }
    }
}
