//! JSON merge patches (RFC 7386), which strategic merge patches are taken for, and JSON patches (RFC 6902).

use serde::Deserialize;
use serde_json::Value;

use super::call::Call;
use crate::status::Status;

#[derive(Debug)]
pub(super) enum Patch {
    Merge(Value),
    Json(Vec<Step>),
}

/// One operation of a JSON patch.
#[derive(Debug, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub(super) enum Step {
    Add { path: String, value: Value },
    Replace { path: String, value: Value },
    Remove { path: String },
    Test { path: String, value: Value },
}

impl Patch {
    pub(super) fn parse(call: &Call) -> Result<Self, Status> {
        let content = call.content_type.as_str();
        if content.contains("json-patch") {
            let steps = serde_json::from_value(call.body.clone());
            let unreadable = |error| Status::bad_request(format!("the patch cannot be read: {error}"));
            return Ok(Self::Json(steps.map_err(unreadable)?));
        }
        if content.contains("merge-patch") && call.body.is_object() {
            return Ok(Self::Merge(call.body.clone()));
        }
        Err(Status::of_code(
            415,
            format!("the body of the request was in an unknown format: {content}"),
        ))
    }

    pub(super) fn apply(&self, object: &mut Value) -> Result<(), Status> {
        match self {
            Self::Merge(patch) => merge(object, patch),
            Self::Json(steps) => {
                for step in steps {
                    step.apply(object).ok_or_else(|| {
                        Status::of_code(
                            422,
                            "the server rejected our request due to an error in our request",
                        )
                    })?;
                }
            }
        }
        Ok(())
    }
}

fn merge(target: &mut Value, patch: &Value) {
    let Some(fields) = patch.as_object() else {
        target.clone_from(patch);
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let Some(target) = target.as_object_mut() else {
        return;
    };
    for (field, value) in fields {
        if value.is_null() {
            target.remove(field);
        } else {
            merge(target.entry(field.clone()).or_insert(Value::Null), value);
        }
    }
}

impl Step {
    fn apply(&self, object: &mut Value) -> Option<()> {
        match self {
            Self::Add { path, value } => add(object, path, value),
            Self::Replace { path, value } => {
                object.pointer_mut(path)?.clone_from(value);
                Some(())
            }
            Self::Remove { path } => remove(object, path),
            Self::Test { path, value } => (object.pointer(path)? == value).then_some(()),
        }
    }
}

fn add(object: &mut Value, path: &str, value: &Value) -> Option<()> {
    let (holder, last) = split(object, path)?;
    match holder {
        Value::Object(fields) => {
            fields.insert(last, value.clone());
        }
        Value::Array(items) => {
            let at = if last == "-" {
                items.len()
            } else {
                last.parse().ok()?
            };
            if at > items.len() {
                return None;
            }
            items.insert(at, value.clone());
        }
        _ => return None,
    }
    Some(())
}

fn remove(object: &mut Value, path: &str) -> Option<()> {
    let (holder, last) = split(object, path)?;
    match holder {
        Value::Object(fields) => fields.remove(&last).map(|_| ()),
        Value::Array(items) => {
            let at: usize = last.parse().ok()?;
            (at < items.len()).then(|| drop(items.remove(at)))
        }
        _ => None,
    }
}

fn split<'a>(object: &'a mut Value, path: &str) -> Option<(&'a mut Value, String)> {
    let (holder, last) = path.rsplit_once('/')?;
    Some((
        object.pointer_mut(holder)?,
        last.replace("~1", "/").replace("~0", "~"),
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_merge_patch_sets_replaces_and_removes() {
        let mut object = json!({"a": {"b": 1, "c": 2}, "list": [1, 2]});

        merge(
            &mut object,
            &json!({"a": {"b": null, "d": 3}, "list": [3], "new": {"x": null, "y": 1}}),
        );

        assert_eq!(
            object,
            json!({"a": {"c": 2, "d": 3}, "list": [3], "new": {"y": 1}})
        );
    }

    #[test]
    fn a_json_patch_adds_replaces_removes_and_tests() {
        let mut object = json!({"a": {"x/y": 1}, "list": [1, 2]});
        let steps: Vec<Step> = serde_json::from_value(json!([
            {"op": "test", "path": "/a/x~1y", "value": 1},
            {"op": "replace", "path": "/a/x~1y", "value": 2},
            {"op": "add", "path": "/list/-", "value": 3},
            {"op": "add", "path": "/list/0", "value": 0},
            {"op": "remove", "path": "/list/1"},
        ]))
        .unwrap();

        Patch::Json(steps).apply(&mut object).unwrap();

        assert_eq!(object, json!({"a": {"x/y": 2}, "list": [0, 2, 3]}));
    }
}
