//! From the text of an order to its documents.

use std::panic::resume_unwind;
use std::thread;

use serde_json::Value;
use serde_saphyr::Spanned;

use super::error::{ManifestError, Problem};
use super::lines::{Lines, Node, line, split};
use super::{Document, Name, Order, Place};
use crate::execute::manifests::options::{FieldError, Options};

/// The most bytes of YAML that are looked at.
pub(super) const YAML_BYTES_MAX: usize = 1024 * 1024;
/// How deep it may be. Definitions of kinds are the deepest that people write, with some 40 levels.
const YAML_DEPTH_MAX: usize = 64;
/// The parser needs up to 40 KiB of stack for each level, more than a thread of the runtime has for all.
const STACK_BYTES: usize = 8 * 1024 * 1024;
/// Keys of labels and annotations that tell whose an object is.
const RESERVED_KEYS: &str = "brokkr.io/";

pub(super) fn order(yaml: &str) -> Result<Order, ManifestError> {
    if yaml.len() > YAML_BYTES_MAX {
        return Err(ManifestError::of_order(Problem::TooLarge));
    }
    let mut order = Order {
        options: Options::default(),
        options_place: None,
        documents: Vec::new(),
    };
    for (index, node) in with_large_stack(|| nodes(yaml))?.into_iter().enumerate() {
        order.take(index + 1, node)?;
    }
    if order.documents.is_empty() {
        return Err(ManifestError::of_order(Problem::Empty));
    }
    Ok(order)
}

/// Does it on a thread of its own. That costs some microseconds, and a host that has no thread left cannot do any work.
fn with_large_stack<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let worker = thread::Builder::new()
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, work);
        let result = worker.expect("a thread can be started").join();
        result.unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// Reads every document. Numbers such as `0644` are read as `kubectl` reads them. Messages name lines and fields but never quote
/// the document, since it may hold secrets.
fn nodes(yaml: &str) -> Result<Vec<Spanned<Node>>, ManifestError> {
    let options = serde_saphyr::options! {
        with_snippet: false,
        legacy_octal_numbers: true,
        budget: serde_saphyr::budget! {
            max_depth: YAML_DEPTH_MAX,
            max_events: 500_000,
            max_aliases: 100,
            max_anchors: 100,
        },
    };
    let mut reader = yaml.as_bytes();
    let mut nodes = Vec::new();
    for node in serde_saphyr::read_with_options::<_, Spanned<Node>>(&mut reader, options) {
        match node {
            Ok(node) => nodes.push(node),
            Err(error) => {
                let place = Place {
                    number: nodes.len() + 1,
                    item: None,
                    line: error.location().as_ref().map_or(1, line),
                };
                return Err(ManifestError {
                    place: Some(place),
                    problem: Problem::Yaml(error.to_string()),
                });
            }
        }
    }
    Ok(nodes)
}

impl Order {
    fn take(&mut self, number: usize, node: Spanned<Node>) -> Result<(), ManifestError> {
        let place = Place {
            number,
            item: None,
            line: line(&node.referenced),
        };
        if is_list(&node.value) {
            return self.take_items(place, node);
        }
        let (value, lines) = split(node);
        let draft = Draft { place, value, lines };
        if !draft.are_options() {
            self.documents.push(draft.into_document()?);
            return Ok(());
        }
        if number != 1 {
            return Err(draft.error(Problem::OptionsMisplaced));
        }
        self.options = Options::read(&draft.value).map_err(|error| draft.error(Problem::Field(error)))?;
        self.options_place = Some(place);
        Ok(())
    }

    fn take_items(&mut self, place: Place, list: Spanned<Node>) -> Result<(), ManifestError> {
        let Node::Map(fields) = list.value else {
            return Ok(());
        };
        for (name, field) in fields {
            match (name.as_str(), field.value) {
                ("items", Node::List(items)) => self.take_each(place, items)?,
                ("apiVersion" | "kind" | "metadata", _) => {}
                _ => {
                    let line = line(&field.referenced);
                    let problem = field_problem(name, "is not a field of a List");
                    return Err(ManifestError {
                        place: Some(Place { line, ..place }),
                        problem,
                    });
                }
            }
        }
        Ok(())
    }

    fn take_each(&mut self, list: Place, items: Vec<Spanned<Node>>) -> Result<(), ManifestError> {
        for (index, item) in items.into_iter().enumerate() {
            let place = Place {
                item: Some(index),
                line: line(&item.referenced),
                ..list
            };
            let nested = is_list(&item.value);
            let (value, lines) = split(item);
            let draft = Draft { place, value, lines };
            if nested {
                return Err(draft.error(field_problem("kind", "is a List, which another List cannot hold")));
            }
            if draft.are_options() {
                return Err(draft.error(Problem::OptionsMisplaced));
            }
            self.documents.push(draft.into_document()?);
        }
        Ok(())
    }
}

/// Whether this stands for the objects in it (`k8s.io/apimachinery`, `meta.IsListType`: any kind of list has `items`).
fn is_list(node: &Node) -> bool {
    let Node::Map(fields) = node else { return false };
    let has_items = fields
        .iter()
        .any(|(name, field)| name == "items" && matches!(field.value, Node::List(_)));
    has_items && node.text("kind").is_some_and(|kind| kind.ends_with("List"))
}

/// A document that nobody has looked into.
struct Draft {
    place: Place,
    value: Value,
    lines: Lines,
}

impl Draft {
    fn are_options(&self) -> bool {
        let text = |name| self.value.get(name).and_then(Value::as_str);
        matches!((text("apiVersion"), text("kind")), (Some(version), Some(kind)) if Options::are_in(version, kind))
    }

    fn into_document(self) -> Result<Document, ManifestError> {
        if !self.value.is_object() {
            return Err(self.error(Problem::Field(FieldError {
                field: "the document".to_owned(),
                problem: "is not a mapping",
            })));
        }
        let api_version = self.required("/apiVersion")?;
        let kind = self.required("/kind")?;
        let name = self.name()?;
        let namespace = self.text("/metadata/namespace")?;
        if let Some(namespace) = &namespace {
            self.check_segment("metadata.namespace", namespace)?;
        }
        self.check_reserved(&self.value, "")?;
        Ok(Document {
            place: self.place,
            api_version,
            kind,
            name,
            namespace,
            object: self.value,
            lines: self.lines,
        })
    }

    fn name(&self) -> Result<Name, ManifestError> {
        // As in the API, the name counts when both are there.
        if let Some(name) = self.text("/metadata/name")? {
            self.check_segment("metadata.name", &name)?;
            return Ok(Name::Given(name));
        }
        let Some(prefix) = self.text("/metadata/generateName")? else {
            return Err(self.error(field_problem(
                "metadata.name",
                "is missing, and so is metadata.generateName",
            )));
        };
        self.check_segment("metadata.generateName", &prefix)?;
        Ok(Name::Prefix(prefix))
    }

    fn text(&self, pointer: &str) -> Result<Option<String>, ManifestError> {
        let problem = match self.value.pointer(pointer) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) if !text.is_empty() => return Ok(Some(text.clone())),
            Some(Value::String(_)) => "is empty",
            Some(_) => "is not a text",
        };
        Err(self.error(field_problem(path(pointer), problem)))
    }

    fn required(&self, pointer: &str) -> Result<String, ManifestError> {
        let missing = || self.error(field_problem(path(pointer), "is missing"));
        self.text(pointer)?.ok_or_else(missing)
    }

    /// Names become parts of a path (`k8s.io/apimachinery/pkg/api/validation/path`).
    fn check_segment(&self, field: &str, name: &str) -> Result<(), ManifestError> {
        let odd = |c: char| matches!(c, '/' | '%') || c.is_whitespace() || c.is_control();
        if matches!(name, "." | "..") || name.contains(odd) {
            return Err(self.error(field_problem(field, "is not a name that an object can have")));
        }
        Ok(())
    }

    /// Labels and annotations by which objects are found belong to the agent, also where others make objects of a template.
    fn check_reserved(&self, value: &Value, path: &str) -> Result<(), ManifestError> {
        match value {
            Value::Object(map) => {
                let separator = if path.is_empty() { "" } else { "." };
                for (name, inner) in map {
                    let inner_path = format!("{path}{separator}{name}");
                    if name == "metadata" {
                        self.check_metadata(inner, &inner_path)?;
                    }
                    self.check_reserved(inner, &inner_path)?;
                }
            }
            Value::Array(list) => {
                for (index, inner) in list.iter().enumerate() {
                    self.check_reserved(inner, &format!("{path}[{index}]"))?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn check_metadata(&self, metadata: &Value, path: &str) -> Result<(), ManifestError> {
        for name in ["labels", "annotations"] {
            let entries = metadata.get(name).and_then(Value::as_object);
            for (key, value) in entries.into_iter().flatten() {
                let problem = if key.starts_with(RESERVED_KEYS) {
                    "begins with brokkr.io/, which the agent keeps for itself"
                } else if !value.is_string() && !value.is_null() {
                    "is not a text (quotation marks make one of it)"
                } else {
                    continue;
                };
                return Err(self.error(field_problem(format!("{path}.{name}.{key}"), problem)));
            }
        }
        Ok(())
    }

    fn error(&self, problem: Problem) -> ManifestError {
        error_at(self.place, &self.lines, problem)
    }
}

/// The line is that of the field, or else where the document begins.
pub(super) fn error_at(place: Place, lines: &Lines, problem: Problem) -> ManifestError {
    let line = problem.field().map_or(place.line, |field| lines.of(field));
    ManifestError {
        place: Some(Place { line, ..place }),
        problem,
    }
}

fn field_problem(field: impl Into<String>, problem: &'static str) -> Problem {
    Problem::Field(FieldError {
        field: field.into(),
        problem,
    })
}

fn path(pointer: &str) -> String {
    pointer.trim_start_matches('/').replace('/', ".")
}
