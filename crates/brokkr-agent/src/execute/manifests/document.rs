//! The documents of an order: YAML as `kubectl` takes it, several documents or Lists.

use serde_json::Value;

use super::options::{FieldError, Options};

mod error;
mod lines;
mod read;

pub(crate) use error::{ManifestError, Problem};
use lines::Lines;

/// What an order says.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    /// How it wants to be done.
    pub options: Options,
    /// Where they stand, if they do.
    pub options_place: Option<Place>,
    /// The objects, in the order in which they were submitted; never empty.
    pub documents: Vec<Document>,
}

/// One object as it was submitted.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    /// Where it was found.
    pub place: Place,
    /// Its group and version.
    pub api_version: String,
    /// Its kind.
    pub kind: String,
    /// Its name, or how that begins.
    pub name: Name,
    /// Its namespace, where it names one.
    pub namespace: Option<String>,
    /// All of it.
    pub object: Value,
    lines: Lines,
}

/// Where in an order something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// The document, counted from 1. Documents with nothing in them do not count.
    pub number: usize,
    /// Its place in the List that the document is, counted from 0 as paths do.
    pub item: Option<usize>,
    /// The line where it begins, counted from 1.
    pub line: usize,
}

/// How an object is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Name {
    /// As submitted.
    Given(String),
    /// The beginning of a name that is still to be made (`generateName`).
    Prefix(String),
}

impl Order {
    /// Reads all documents of an order. Whether the cluster knows their kinds is left open.
    pub(crate) fn parse(yaml: &str) -> Result<Self, ManifestError> {
        read::order(yaml)
    }
}

impl Document {
    /// Something is wrong with one field of it.
    pub(crate) fn field_error(&self, field: impl Into<String>, problem: &'static str) -> ManifestError {
        self.error(Problem::Field(FieldError {
            field: field.into(),
            problem,
        }))
    }

    /// Something is wrong with it. The line is that of the field, or else where the document begins.
    pub(crate) fn error(&self, problem: Problem) -> ManifestError {
        read::error_at(self.place, &self.lines, problem)
    }
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
