//! Generators: the tenants and CI systems that submit work.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::texts::{Description, Name};
use crate::{KnownFields, PakText, Time};

/// A tenant or CI identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Generator {
    /// Sorts by age.
    pub id: Uuid,
    /// When it was created.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
    /// When it was deleted.
    #[schema(required = true)]
    pub deleted_at: Option<Time>,
    /// Unique among the generators that are not deleted.
    #[schema(example = "ci")]
    pub name: String,
    /// For people.
    #[schema(required = true)]
    pub description: Option<String>,
}

/// Creates a generator.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreateGenerator {
    /// 1 to 255 characters.
    #[schema(value_type = Name, example = "ci")]
    pub name: String,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Description>)]
    pub description: Option<String>,
}

impl KnownFields for CreateGenerator {
    const FIELDS: &'static [&'static str] = &["name", "description"];
}

/// A new generator and its PAK, which is shown only now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GeneratorCreated {
    /// The generator.
    pub generator: Generator,
    /// With what it authenticates.
    pub pak: PakText,
}

/// Changes a generator. What is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UpdateGenerator {
    /// 1 to 255 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Name>)]
    pub name: Option<String>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Description>)]
    pub description: Option<String>,
}

impl KnownFields for UpdateGenerator {
    const FIELDS: &'static [&'static str] = &["name", "description"];
}

/// A generator and its new PAK, which is shown only now. The old one is dead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RotatedGeneratorPak {
    /// The generator.
    pub generator: Generator,
    /// With what it authenticates from now on.
    pub pak: PakText,
}
