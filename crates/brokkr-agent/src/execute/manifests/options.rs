//! How an order of manifests wants to be done: an optional document before all others.

use serde_json::{Map, Value};

use crate::document::API_VERSION;
use crate::kube::Cleanup;

/// What the document calls itself.
pub(crate) const KIND: &str = "Manifests";

/// What holds for the whole order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// What is waited for besides Jobs.
    pub wait: Wait,
    /// Conditions that certain objects have to reach.
    pub conditions: Vec<ObjectCondition>,
    /// Whether fields that others manage are taken over.
    pub force: bool,
    /// What becomes of the objects; without it Jobs go after an hour and the rest stays.
    pub cleanup: Option<Cleanup>,
}

/// What is waited for besides Jobs and named conditions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Nothing.
    #[default]
    None,
    /// Everything that can be ready.
    Ready,
}

/// A condition, and the objects that have to reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ObjectCondition {
    /// Their kind.
    pub kind: String,
    /// Their group and version; without it, any.
    pub api_version: Option<String>,
    /// Their name as it was submitted; without it, any.
    pub name: Option<String>,
    /// The type of the condition.
    pub condition: String,
    /// Its status.
    pub status: String,
}

/// A field of the document that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldError {
    /// Its path.
    pub field: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

impl Options {
    /// Whether these are the options, not an object for the cluster.
    pub(crate) fn are_in(api_version: &str, kind: &str) -> bool {
        api_version == API_VERSION && kind == KIND
    }

    /// Reads the document, which is known to be of this kind.
    pub(crate) fn read(document: &Value) -> Result<Self, FieldError> {
        let document = Fields::of(document, String::new())?;
        document.only(&["apiVersion", "kind", "metadata", "spec"])?;
        if let Some(metadata) = document.inner("metadata")? {
            metadata.only(&["name"])?;
        }
        let Some(spec) = document.inner("spec")? else {
            return Ok(Self::default());
        };
        spec.only(&["wait", "conditions", "force", "cleanup"])?;
        Ok(Self {
            wait: wait(&spec)?,
            conditions: conditions(&spec)?,
            force: spec.boolean("force")?.unwrap_or_default(),
            cleanup: cleanup(&spec)?,
        })
    }
}

fn wait(spec: &Fields<'_>) -> Result<Wait, FieldError> {
    match spec.text("wait")? {
        None | Some("none") => Ok(Wait::None),
        Some("ready") => Ok(Wait::Ready),
        Some(_) => Err(spec.wrong("wait", "is neither none nor ready")),
    }
}

fn cleanup(spec: &Fields<'_>) -> Result<Option<Cleanup>, FieldError> {
    match spec.text("cleanup")? {
        None => Ok(None),
        Some("keep") => Ok(Some(Cleanup::Keep)),
        Some("delete-on-success") => Ok(Some(Cleanup::DeleteOnSuccess)),
        Some("delete") => Ok(Some(Cleanup::Delete)),
        Some(_) => Err(spec.wrong("cleanup", "is none of keep, delete-on-success, delete")),
    }
}

fn conditions(spec: &Fields<'_>) -> Result<Vec<ObjectCondition>, FieldError> {
    let list = match spec.value("conditions") {
        None => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(spec.wrong("conditions", "is not a list")),
    };
    let each = list.iter().enumerate().map(|(index, condition)| {
        let condition = Fields::of(condition, format!("{}[{index}]", spec.path("conditions")))?;
        condition.only(&["kind", "apiVersion", "name", "condition", "status"])?;
        Ok(ObjectCondition {
            kind: condition.required("kind")?,
            api_version: condition.text("apiVersion")?.map(str::to_owned),
            name: condition.text("name")?.map(str::to_owned),
            condition: condition.required("condition")?,
            status: status(&condition)?,
        })
    });
    each.collect()
}

/// YAML reads an unquoted `True` as a truth value, but the status of a condition is a text.
fn status(condition: &Fields<'_>) -> Result<String, FieldError> {
    match condition.value("status") {
        None | Some(Value::Bool(true)) => Ok("True".to_owned()),
        Some(Value::Bool(false)) => Ok("False".to_owned()),
        Some(Value::String(status)) if matches!(status.as_str(), "True" | "False" | "Unknown") => {
            Ok(status.clone())
        }
        Some(_) => Err(condition.wrong("status", "is none of True, False, Unknown")),
    }
}

/// A mapping of the document, and where it is.
struct Fields<'a> {
    map: &'a Map<String, Value>,
    path: String,
}

impl<'a> Fields<'a> {
    fn of(value: &'a Value, path: String) -> Result<Self, FieldError> {
        match value {
            Value::Object(map) => Ok(Self { map, path }),
            _ => Err(FieldError {
                field: path,
                problem: "is not a mapping",
            }),
        }
    }

    /// What the field has; nothing when it is not there or empty.
    fn value(&self, name: &str) -> Option<&'a Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    fn inner(&self, name: &str) -> Result<Option<Self>, FieldError> {
        self.value(name)
            .map(|value| Self::of(value, self.path(name)))
            .transpose()
    }

    fn text(&self, name: &str) -> Result<Option<&'a str>, FieldError> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
            Some(Value::String(_)) => Err(self.wrong(name, "is empty")),
            Some(_) => Err(self.wrong(name, "is not a text")),
        }
    }

    fn required(&self, name: &str) -> Result<String, FieldError> {
        match self.text(name)? {
            Some(text) => Ok(text.to_owned()),
            None => Err(self.wrong(name, "is missing")),
        }
    }

    fn boolean(&self, name: &str) -> Result<Option<bool>, FieldError> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(*value)),
            Some(_) => Err(self.wrong(name, "is neither true nor false")),
        }
    }

    fn only(&self, names: &[&str]) -> Result<(), FieldError> {
        match self.map.keys().find(|name| !names.contains(&name.as_str())) {
            Some(unknown) => Err(self.wrong(unknown, "is not a field that there is")),
            None => Ok(()),
        }
    }

    fn path(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }

    fn wrong(&self, name: &str, problem: &'static str) -> FieldError {
        FieldError {
            field: self.path(name),
            problem,
        }
    }
}

#[cfg(test)]
mod tests;
