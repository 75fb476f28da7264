//! The document of work type `command`: what to run, written as YAML.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The only version there is.
pub const API_VERSION: &str = "brokkr.io/v1";
/// What a document of work type `command` calls itself.
pub const KIND: &str = "Command";

/// The most bytes of YAML that are looked at.
const YAML_BYTES_MAX: usize = 1024 * 1024;
/// The longest deadline: one year.
const DEADLINE_SECONDS_MAX: u64 = 366 * 24 * 3600;
/// The agent's own variables, which a document may not set.
const RESERVED_VARIABLES: &str = "BROKKR_";

/// A command as it will be started: nothing is looked up, expanded or guessed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// The program and its arguments; never empty.
    pub argv: Vec<String>,
    /// Variables set for the command.
    pub env: BTreeMap<String, String>,
    /// Absolute. Without it the command starts in a directory of its own, removed afterwards.
    pub working_directory: Option<PathBuf>,
    /// What the command reads; without it, nothing.
    pub stdin: Option<String>,
    /// The longest it may run.
    pub deadline_seconds: Option<u64>,
}

/// Why a document cannot be run. Written for the person who submitted it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// Larger than what is looked at.
    #[error("the document is larger than {YAML_BYTES_MAX} bytes")]
    TooLarge,
    /// No YAML, or none within the limits of size, depth and aliases.
    #[error("the document cannot be read: {0}")]
    Yaml(String),
    /// Nothing but comments and white space.
    #[error("there is no document")]
    Empty,
    /// An order runs one command.
    #[error(
        "document {number}: one order runs exactly one command, so a second document is refused; submit one order for each"
    )]
    Several {
        /// Counted from 1.
        number: usize,
    },
    /// Another version or kind.
    #[error("{field} is {found}, but work of type command needs {expected}")]
    WrongKind {
        /// `apiVersion` or `kind`.
        field: &'static str,
        /// What the document says.
        found: String,
        /// What it would have to say.
        expected: &'static str,
    },
    /// A field whose value makes no sense.
    #[error("{field} {problem}")]
    Field {
        /// Path of the field.
        field: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Document {
    #[serde(rename = "apiVersion")]
    _api_version: String,
    #[serde(rename = "kind")]
    _kind: String,
    #[serde(default, rename = "metadata")]
    _metadata: Metadata,
    spec: Spec,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Metadata {
    #[serde(rename = "name")]
    _name: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Spec {
    #[serde(default)]
    command: Option<Vec<String>>,
    #[serde(default)]
    shell: Option<String>,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    working_directory: Option<PathBuf>,
    #[serde(default)]
    stdin: Option<String>,
    #[serde(default)]
    deadline_seconds: Option<u64>,
}

impl Command {
    /// Reads the one document of an order.
    ///
    /// # Errors
    /// Whenever anything in it is unknown, missing or senseless: nothing is dropped silently.
    pub fn parse(yaml: &str) -> Result<Self, DocumentError> {
        if yaml.len() > YAML_BYTES_MAX {
            return Err(DocumentError::TooLarge);
        }
        let untyped = read_all::<serde_json::Value>(yaml)?;
        match untyped.as_slice() {
            [] | [serde_json::Value::Null] => return Err(DocumentError::Empty),
            [one] => {
                expect_value(one, "apiVersion", API_VERSION)?;
                expect_value(one, "kind", KIND)?;
            }
            [_, _, ..] => return Err(DocumentError::Several { number: 2 }),
        }
        let document = read_all::<Document>(yaml)?.pop().ok_or(DocumentError::Empty)?;
        document.spec.into_command()
    }
}

impl Spec {
    fn into_command(self) -> Result<Command, DocumentError> {
        let mut argv = match (self.command, self.shell) {
            (Some(command), None) => command,
            // The fourth word is $0, so that `args` begin at $1.
            (None, Some(script)) => vec!["/bin/sh".to_owned(), "-c".to_owned(), script, "sh".to_owned()],
            (Some(_), Some(_)) => return Err(field("spec", "has both command and shell; give one of them")),
            (None, None) => return Err(field("spec", "has neither command (a list) nor shell (a script)")),
        };
        if argv.first().is_none_or(String::is_empty) {
            return Err(field("spec.command", "names no program"));
        }
        argv.extend(self.args);
        let command = Command {
            argv,
            env: self.env,
            working_directory: self.working_directory,
            stdin: self.stdin,
            deadline_seconds: self.deadline_seconds,
        };
        command.check()?;
        Ok(command)
    }
}

impl Command {
    fn check(&self) -> Result<(), DocumentError> {
        if self.argv.iter().any(|word| word.contains('\0')) {
            return Err(field("spec.command", "or spec.args contains a NUL byte"));
        }
        for (name, value) in &self.env {
            check_variable(name, value)?;
        }
        if let Some(directory) = &self.working_directory {
            if !directory.is_absolute() {
                return Err(field("spec.workingDirectory", "is not an absolute path"));
            }
            if directory.as_os_str().as_encoded_bytes().contains(&0) {
                return Err(field("spec.workingDirectory", "contains a NUL byte"));
            }
        }
        match self.deadline_seconds {
            Some(0) => Err(field("spec.deadlineSeconds", "is zero")),
            Some(seconds) if seconds > DEADLINE_SECONDS_MAX => {
                Err(field("spec.deadlineSeconds", "is longer than a year"))
            }
            _ => Ok(()),
        }
    }
}

fn check_variable(name: &str, value: &str) -> Result<(), DocumentError> {
    let path = || format!("spec.env.{name:?}");
    if name.is_empty() || name.contains(['=', '\0']) {
        return Err(field(path(), "is not the name of a variable"));
    }
    if name.starts_with(RESERVED_VARIABLES) {
        return Err(field(
            path(),
            "begins with BROKKR_, which the agent keeps for itself",
        ));
    }
    if value.contains('\0') {
        return Err(field(path(), "contains a NUL byte"));
    }
    Ok(())
}

/// Reads every document. Messages name lines and fields but never quote the document, since it may hold secrets.
fn read_all<T: serde::de::DeserializeOwned>(yaml: &str) -> Result<Vec<T>, DocumentError> {
    let options = serde_saphyr::options! {
        with_snippet: false,
        budget: serde_saphyr::budget! {
            max_depth: 32,
            max_events: 100_000,
            max_aliases: 100,
            max_anchors: 100,
        },
    };
    serde_saphyr::from_multiple_with_options(yaml, options)
        .map_err(|error| DocumentError::Yaml(error.to_string()))
}

fn expect_value(
    document: &serde_json::Value,
    name: &'static str,
    expected: &'static str,
) -> Result<(), DocumentError> {
    match document.get(name) {
        Some(serde_json::Value::String(found)) if found == expected => Ok(()),
        Some(serde_json::Value::String(found)) => {
            let found = format!("{:?}", found.chars().take(64).collect::<String>());
            Err(DocumentError::WrongKind {
                field: name,
                found,
                expected,
            })
        }
        Some(_) => Err(DocumentError::WrongKind {
            field: name,
            found: "not a text".to_owned(),
            expected,
        }),
        None => Err(DocumentError::WrongKind {
            field: name,
            found: "missing".to_owned(),
            expected,
        }),
    }
}

fn field(field: impl Into<String>, problem: &'static str) -> DocumentError {
    DocumentError::Field {
        field: field.into(),
        problem,
    }
}

#[cfg(test)]
pub(crate) mod fuzz;
#[cfg(test)]
mod tests;
