//! One extractor per kind of caller: each authenticates and authorises, so handlers hold no permission `if`.
//!
//! They look at nothing but the key and the path, so who may not call learns nothing about what exists.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use brokkr_core::ids::{AgentId, GeneratorId};

use super::path;
use crate::api::AppState;
use crate::api::authenticate::authenticate;
use crate::api::problem::{Code, Problem};
use crate::app::caller::{Caller, Role};

/// Whoever has a key that works.
#[derive(Debug)]
pub(crate) struct AnyCaller(pub(crate) Caller);

/// An administrator, who may change things.
#[derive(Debug)]
pub(crate) struct Admin(pub(crate) Caller);

/// An administrator or a viewer.
#[derive(Debug)]
pub(crate) struct Reader(pub(crate) Caller);

/// An administrator, a viewer or the agent that the path names, for reading.
#[derive(Debug)]
pub(crate) struct AgentReader {
    pub(crate) caller: Caller,
    pub(crate) agent: AgentId,
}

/// An administrator, a viewer or the generator that the path names, for reading.
#[derive(Debug)]
pub(crate) struct GeneratorReader(pub(crate) GeneratorId);

/// An administrator, or any agent. Whether the agent is the right one depends on the request's body.
#[derive(Debug)]
pub(crate) struct AdminOrAgent(pub(crate) Caller);

impl AdminOrAgent {
    /// The caller, who speaks for the agent that the body names.
    pub(crate) fn acting_as(self, agent: AgentId) -> Result<Caller, Problem> {
        match self.0.role {
            Role::Agent(own) if own != agent => Err(agent_mismatch()),
            _ => Ok(self.0),
        }
    }
}

/// An administrator, a viewer or any generator.
#[derive(Debug)]
pub(crate) struct AdminOrGenerator(pub(crate) Caller);

macro_rules! about {
    ($($(#[$doc:meta])* $name:ident($field:ident: $id:ty);)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub(crate) struct $name {
            /// Who calls.
            pub(crate) caller: Caller,
            /// Whom the path names.
            pub(crate) $field: $id,
        }
    )*};
}

about! {
    /// The agent that the path names, and nobody else.
    OwnAgent(agent: AgentId);
    /// An administrator or the agent that the path names, for a change.
    AdminOrSelfAgent(agent: AgentId);
    /// An administrator or the generator that the path names, for a change.
    AdminOrSelfGenerator(generator: GeneratorId);
}

impl FromRequestParts<AppState> for AnyCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        authenticate(parts, state).await.map(Self)
    }
}

/// Says for an extractor without an id which roles pass and what the others hear.
macro_rules! by_role {
    ($($name:ident($caller:ident) { $($role:pat => $verdict:expr,)* })*) => {$(
        impl FromRequestParts<AppState> for $name {
            type Rejection = Problem;

            async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
                let $caller = authenticate(parts, state).await?;
                match $caller.role {
                    $($role => $verdict,)*
                }
            }
        }
    )*};
}

by_role! {
    Admin(caller) {
        Role::Admin => Ok(Self(caller)),
        Role::Viewer => Err(read_only()),
        Role::Agent(_) | Role::Generator(_) => Err(admin_required()),
    }
    Reader(caller) {
        Role::Admin | Role::Viewer => Ok(Self(caller)),
        Role::Agent(_) | Role::Generator(_) => Err(admin_required()),
    }
    AdminOrAgent(caller) {
        Role::Admin | Role::Agent(_) => Ok(Self(caller)),
        Role::Viewer => Err(read_only()),
        Role::Generator(_) => Err(admin_required()),
    }
    AdminOrGenerator(caller) {
        Role::Admin | Role::Viewer | Role::Generator(_) => Ok(Self(caller)),
        Role::Agent(_) => Err(Problem::new(Code::GeneratorRequired, "Only an administrator or a generator may do this.")),
    }
}

/// Says the same for an extractor with the id of the path, which is parsed after the key was checked.
macro_rules! by_role_and_id {
    ($($name:ident($caller:ident, $id:ident) { $($role:pat $(if $guard:expr)? => $verdict:expr,)* })*) => {$(
        impl FromRequestParts<AppState> for $name {
            type Rejection = Problem;

            async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
                let $caller = authenticate(parts, state).await?;
                let $id = path::id(parts, state).await?;
                match $caller.role {
                    $($role $(if $guard)? => $verdict,)*
                }
            }
        }
    )*};
}

by_role_and_id! {
    OwnAgent(caller, agent) {
        Role::Agent(own) if own == agent => Ok(Self { caller, agent }),
        _ => Err(agent_mismatch()),
    }
    AdminOrSelfAgent(caller, agent) {
        Role::Admin => Ok(Self { caller, agent }),
        Role::Agent(own) if own == agent => Ok(Self { caller, agent }),
        Role::Viewer => Err(read_only()),
        _ => Err(agent_mismatch()),
    }
    AgentReader(caller, agent) {
        Role::Admin | Role::Viewer => Ok(Self { caller, agent }),
        Role::Agent(own) if own == agent => Ok(Self { caller, agent }),
        _ => Err(agent_mismatch()),
    }
    AdminOrSelfGenerator(caller, generator) {
        Role::Admin => Ok(Self { caller, generator }),
        Role::Generator(own) if own == generator => Ok(Self { caller, generator }),
        Role::Viewer => Err(read_only()),
        _ => Err(generator_mismatch()),
    }
    GeneratorReader(caller, generator) {
        Role::Admin | Role::Viewer => Ok(Self(generator)),
        Role::Generator(own) if own == generator => Ok(Self(generator)),
        _ => Err(generator_mismatch()),
    }
}

fn admin_required() -> Problem {
    Problem::new(Code::AdminRequired, "Only an administrator may do this.")
}

fn read_only() -> Problem {
    Problem::new(Code::ReadOnly, "This key may read everything and change nothing.")
}

pub(crate) fn agent_mismatch() -> Problem {
    Problem::new(Code::AgentPakMismatch, "This key does not belong to that agent.")
}

fn generator_mismatch() -> Problem {
    Problem::new(
        Code::GeneratorPakMismatch,
        "This key does not belong to that generator.",
    )
}
