//! What is wrong with an order, for the person who submitted it.

use std::fmt;

use super::Place;
use super::read::YAML_BYTES_MAX;
use crate::execute::manifests::options::FieldError;
use crate::policy::PolicyError;

/// Why an order cannot be done. It names the place and the field; of what was submitted it repeats only kinds, names, images and
/// service accounts, since the rest may be secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ManifestError {
    /// Where it is wrong; nothing when the order is wrong as a whole.
    pub place: Option<Place>,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Problem {
    /// Larger than what is looked at.
    #[error("the order is larger than {YAML_BYTES_MAX} bytes")]
    TooLarge,
    /// No YAML, or none within the limits of size, depth and aliases.
    #[error("this cannot be read: {0}")]
    Yaml(String),
    /// There is nothing for the cluster.
    #[error("there is no object in the order")]
    Empty,
    /// A field that is missing or makes no sense.
    #[error("{} {}", .0.field, .0.problem)]
    Field(FieldError),
    /// The options come after an object, or twice.
    #[error("kind Manifests holds for the whole order, so it has to be its first document")]
    OptionsMisplaced,
    /// The cluster does not serve the kind, and no definition of it comes with the order.
    #[error("kind {kind} does not exist in {api_version} of this cluster")]
    UnknownKind {
        /// Group and version.
        api_version: String,
        /// The kind.
        kind: String,
    },
    /// One object would be sent twice.
    #[error("{what} is already {other}")]
    Duplicate {
        /// Kind, namespace and name.
        what: String,
        /// Where it stands as well.
        other: Place,
    },
    /// A rule of the policy.
    #[error(transparent)]
    Policy(PolicyError),
}

impl Problem {
    /// The field that is wrong, where it is one.
    pub(super) fn field(&self) -> Option<&str> {
        match self {
            Self::Field(error) => Some(&error.field),
            Self::OptionsMisplaced | Self::UnknownKind { .. } => Some("kind"),
            Self::Duplicate { .. } => Some("metadata.name"),
            Self::Policy(error) => error.field(),
            Self::TooLarge | Self::Yaml(_) | Self::Empty => None,
        }
    }
}

impl ManifestError {
    /// The order as a whole is wrong.
    pub(super) fn of_order(problem: Problem) -> Self {
        Self { place: None, problem }
    }
}

impl std::error::Error for ManifestError {}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Some(place) => write!(f, "{place}, line {}: {}", place.line, self.problem),
            None => self.problem.fmt(f),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.item {
            Some(item) => write!(f, "document {}, items[{item}]", self.number),
            None => write!(f, "document {}", self.number),
        }
    }
}
