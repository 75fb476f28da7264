//! Credentials for people and tools.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Time;
use crate::texts::Name;

/// A whole PAK, which must stay secret. `Debug` hides all but the short part, and there is no `Display`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, format = Password, example = "brokkr_BRxxxxxxxx_...")]
pub struct PakText(String);

impl PakText {
    /// Wraps the text of a PAK, unchecked.
    pub fn new(text: impl Into<String>) -> PakText {
        PakText(text.into())
    }

    /// The secret itself.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The secret itself.
    pub fn into_exposed(self) -> String {
        self.0
    }
}

impl fmt::Debug for PakText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self
            .0
            .strip_prefix("brokkr_BR")
            .and_then(|parts| parts.split_once('_'))
        {
            Some((short, _)) if short.len() <= 8 => write!(f, "brokkr_BR{short}_***"),
            _ => f.write_str("***"),
        }
    }
}

/// What the holder of a PAK may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PakRole {
    /// Everything.
    Admin,
    /// Read everything that an admin reads, change nothing.
    Viewer,
}

impl fmt::Display for PakRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            PakRole::Admin => "admin",
            PakRole::Viewer => "viewer",
        })
    }
}

/// Creates a PAK for a person or a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreatePak {
    /// Whose it is: 1 to 255 characters.
    #[schema(value_type = Name, example = "dashboard")]
    pub name: String,
    /// What its holder may do.
    pub role: PakRole,
    /// From when on it is refused. Without it, it holds until it is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
}

/// A new PAK, which is shown only now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PakCreated {
    /// What the broker keeps of it.
    pub pak_info: PakInfo,
    /// The PAK itself.
    pub pak: PakText,
}

/// What the broker knows of a PAK.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PakInfo {
    /// Its short part, which names it and is no secret.
    #[schema(example = "4vJ9JU1b")]
    pub short: String,
    /// Whose it is.
    pub name: String,
    /// What its holder may do.
    pub role: PakRole,
    /// When it was created.
    pub created_at: Time,
    /// From when on it is refused.
    #[schema(required = true)]
    pub expires_at: Option<Time>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_hides_the_secret() {
        assert_eq!(
            format!("{:?}", PakText::new("brokkr_BRabcdefgh_verysecret")),
            "brokkr_BRabcdefgh_***"
        );
        for odd in ["verysecret", "brokkr_BRverysecret", "brokkr_BRverysecret_x", ""] {
            assert_eq!(format!("{:?}", PakText::new(odd)), "***");
        }
    }
}
