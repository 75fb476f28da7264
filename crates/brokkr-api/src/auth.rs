//! Who the caller is.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Whom the PAK of the request belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuthAnswer {
    /// Whether it is an admin's.
    pub admin: bool,
    /// The agent, when it is an agent's.
    #[schema(required = true)]
    pub agent: Option<Uuid>,
    /// The generator, when it is a generator's.
    #[schema(required = true)]
    pub generator: Option<Uuid>,
    /// Whether it may only read.
    pub readonly: bool,
}
