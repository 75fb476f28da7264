//! Paths to fields, sets of them, and `FieldsV1`, the form in which objects carry such sets.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::schema::{ListType, is_atomic_map, key_of, list_type};

/// One step on the way to a field.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Field(String),
    /// An item of a list, by the JSON of its key fields.
    Item(String),
    /// A member of a set, by its JSON.
    Member(String),
}

pub(super) type Path = Vec<Step>;

/// The fields that somebody set. An item of a list is a field of its own beside those in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct FieldSet(BTreeSet<Path>);

impl FieldSet {
    /// All fields of an object that can have an owner, within the status or outside it.
    pub(super) fn of(object: &Value, subresource: Option<&str>) -> Self {
        let mut object = object.clone();
        if let Some(fields) = object.as_object_mut() {
            fields.retain(|field, _| match subresource {
                Some(subresource) => field == subresource,
                None => !matches!(field.as_str(), "apiVersion" | "kind"),
            });
        }
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.retain(|field, _| {
                matches!(
                    field.as_str(),
                    "labels" | "annotations" | "finalizers" | "ownerReferences" | "generateName"
                )
            });
            if metadata.is_empty()
                && let Some(fields) = object.as_object_mut()
            {
                fields.remove("metadata");
            }
        }
        let mut set = Self::default();
        for (field, value) in object.as_object().into_iter().flatten() {
            set.collect(vec![Step::Field(field.clone())], field, value);
        }
        set
    }

    fn collect(&mut self, path: Path, field: &str, value: &Value) {
        match value {
            Value::Null => {}
            Value::Object(fields) if !fields.is_empty() && !is_atomic_map(field) => {
                for (field, value) in fields {
                    self.collect(join(&path, Step::Field(field.clone())), field, value);
                }
            }
            Value::Array(items) if !items.is_empty() => self.collect_items(path, field, items),
            _ => {
                self.0.insert(path);
            }
        }
    }

    fn collect_items(&mut self, path: Path, field: &str, items: &[Value]) {
        match list_type(field, items) {
            ListType::Atomic => {
                self.0.insert(path);
            }
            ListType::Set => self.0.extend(
                items
                    .iter()
                    .map(|item| join(&path, Step::Member(item.to_string()))),
            ),
            ListType::Map(keys) => {
                for item in items {
                    let Some(key) = key_of(item, keys) else { continue };
                    let path = join(&path, Step::Item(key.to_string()));
                    for (field, value) in item.as_object().into_iter().flatten() {
                        self.collect(join(&path, Step::Field(field.clone())), field, value);
                    }
                    self.0.insert(path);
                }
            }
        }
    }

    pub(super) fn contains(&self, path: &Path) -> bool {
        self.0.contains(path)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What holds something comes before what is in it.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Path> {
        self.0.iter()
    }

    pub(super) fn without(&self, other: &Self) -> Self {
        Self(self.0.difference(&other.0).cloned().collect())
    }

    pub(super) fn only(&self, keep: impl Fn(&Path) -> bool) -> Self {
        Self(self.0.iter().filter(|path| keep(path)).cloned().collect())
    }

    pub(super) fn add(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(super) fn remove(&mut self, path: &Path) {
        self.0.remove(path);
    }

    pub(super) fn to_json(&self) -> Value {
        let mut root = json!({});
        for path in &self.0 {
            let mut node = &mut root;
            for step in path {
                let name = match step {
                    Step::Field(field) => format!("f:{field}"),
                    Step::Item(key) => format!("k:{key}"),
                    Step::Member(value) => format!("v:{value}"),
                };
                node = &mut node[name];
                if node.is_null() {
                    *node = json!({});
                }
            }
            node["."] = json!({});
        }
        fold_leaves(&mut root);
        root
    }

    pub(super) fn from_json(tree: &Value) -> Self {
        let mut set = Self::default();
        if let Some(fields) = tree.as_object() {
            set.read(&Path::new(), fields);
        }
        set
    }

    fn read(&mut self, path: &Path, fields: &Map<String, Value>) {
        if fields.is_empty() || fields.contains_key(".") {
            self.0.insert(path.clone());
        }
        for (name, below) in fields {
            let step = match name.split_at_checked(2) {
                Some(("f:", field)) => Step::Field(field.to_owned()),
                Some(("k:", key)) => Step::Item(key.to_owned()),
                Some(("v:", value)) => Step::Member(value.to_owned()),
                _ => continue,
            };
            if let Some(below) = below.as_object() {
                self.read(&join(path, step), below);
            }
        }
    }
}

/// A field with nothing below it is written as `{}`.
fn fold_leaves(node: &mut Value) {
    let Some(fields) = node.as_object_mut() else {
        return;
    };
    if fields.len() == 1 {
        fields.remove(".");
    }
    for (name, below) in fields.iter_mut() {
        if name != "." {
            fold_leaves(below);
        }
    }
}

fn join(path: &Path, step: Step) -> Path {
    let mut path = path.clone();
    path.push(step);
    path
}

/// What is at a path; of an item, only that it is there counts, because its fields have paths of their own.
pub(super) fn lookup(object: &Value, path: &Path) -> Option<Value> {
    let mut value = object;
    for step in path {
        value = match step {
            Step::Field(field) => value.get(field).filter(|value| !value.is_null())?,
            Step::Item(_) | Step::Member(_) => {
                let items = value.as_array()?;
                &items[position(items, step)?]
            }
        };
    }
    match path.last() {
        Some(Step::Item(_)) => Some(Value::Bool(true)),
        _ => Some(value.clone()),
    }
}

fn position(items: &[Value], step: &Step) -> Option<usize> {
    match step {
        Step::Field(_) => None,
        Step::Member(member) => {
            let member: Value = serde_json::from_str(member).ok()?;
            items.iter().position(|item| *item == member)
        }
        Step::Item(key) => {
            let key: Value = serde_json::from_str(key).ok()?;
            let fields: Vec<&str> = key.as_object()?.keys().map(String::as_str).collect();
            items
                .iter()
                .position(|item| key_of(item, &fields).as_ref() == Some(&key))
        }
    }
}

/// Takes away what is at a path, and the objects and lists that only it filled.
pub(super) fn remove(object: &mut Value, path: &[Step]) {
    let Some((step, rest)) = path.split_first() else {
        return;
    };
    match (step, object) {
        (Step::Field(field), Value::Object(fields)) => {
            let Some(value) = fields.get_mut(field) else {
                return;
            };
            if !rest.is_empty() {
                remove(value, rest);
            }
            if rest.is_empty() || is_hollow(value) {
                fields.remove(field);
            }
        }
        (step, Value::Array(items)) => {
            let Some(at) = position(items, step) else { return };
            if rest.is_empty() {
                items.remove(at);
            } else {
                remove(&mut items[at], rest);
            }
        }
        _ => {}
    }
}

fn is_hollow(value: &Value) -> bool {
    value.as_object().is_some_and(Map::is_empty) || value.as_array().is_some_and(Vec::is_empty)
}

/// As conflicts name a field: `.spec.containers[name="web"].image`.
pub(super) fn display(path: &Path) -> String {
    let step = |step: &Step| match step {
        Step::Field(field) => format!(".{field}"),
        Step::Member(value) => format!("[={value}]"),
        Step::Item(key) => {
            let key: Value = serde_json::from_str(key).unwrap_or_default();
            let fields = key.as_object().into_iter().flatten();
            let fields: Vec<_> = fields.map(|(field, value)| format!("{field}={value}")).collect();
            format!("[{}]", fields.join(","))
        }
    };
    path.iter().map(step).collect()
}
