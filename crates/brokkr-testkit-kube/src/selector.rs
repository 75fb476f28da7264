//! Which objects a list or a watch is about.

use serde_json::Value;

use crate::resources::Resource;
use crate::status::Status;

/// A label selector and a field selector; both must match.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<Requirement>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    Exists,
    Absent,
    In(Vec<String>),
    /// An absent label is in no set, so it matches.
    NotIn(Vec<String>),
}

impl Requirement {
    fn matches(&self, value: Option<&str>) -> bool {
        let is_in = |set: &[String]| value.is_some_and(|value| set.iter().any(|member| member == value));
        match &self.test {
            Test::Exists => value.is_some(),
            Test::Absent => value.is_none(),
            Test::In(set) => is_in(set),
            Test::NotIn(set) => !is_in(set),
        }
    }
}

impl Selector {
    pub(crate) fn parse(
        resource: &Resource,
        labels: Option<&str>,
        fields: Option<&str>,
    ) -> Result<Self, Status> {
        let labels = requirements(labels.unwrap_or_default())?;
        let fields = requirements(fields.unwrap_or_default())?;
        if let Some(field) = fields.iter().find(|field| !is_selectable(resource, &field.key)) {
            return Err(Status::bad_request(format!(
                "field label not supported: {}",
                field.key
            )));
        }
        Ok(Self { labels, fields })
    }

    pub(crate) fn matches(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        self.labels
            .iter()
            .all(|label| label.matches(labels[&label.key].as_str()))
            && self.fields.iter().all(|field| {
                let value = field.key.split('.').fold(object, |value, part| &value[part]);
                // A field that is not set is selected as the empty text.
                field.matches(Some(value.as_str().unwrap_or_default()))
            })
    }
}

/// As each resource's registry converts them.
fn is_selectable(resource: &Resource, field: &str) -> bool {
    let own: &[&str] = match resource.plural.as_str() {
        "pods" => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.serviceAccountName",
            "status.phase",
        ],
        "events" => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.fieldPath",
            "reason",
            "type",
        ],
        "secrets" => &["type"],
        "namespaces" => &["status.phase"],
        _ => &[],
    };
    matches!(field, "metadata.name" | "metadata.namespace") || own.contains(&field)
}

fn requirements(text: &str) -> Result<Vec<Requirement>, Status> {
    split(text).into_iter().map(requirement).collect()
}

/// At the commas outside parentheses.
fn split(text: &str) -> Vec<&str> {
    let mut depth = 0_u32;
    let outside = |letter: char| {
        match letter {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        letter == ',' && depth == 0
    };
    text.split(outside)
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect()
}

fn requirement(text: &str) -> Result<Requirement, Status> {
    let (key, test) = if let Some((key, value)) = text.split_once("!=") {
        (key, Test::NotIn(vec![value.trim().to_owned()]))
    } else if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        (key, Test::In(vec![value.trim().to_owned()]))
    } else if let Some((key, set)) = text.split_once(" notin ") {
        (key, Test::NotIn(members(set)?))
    } else if let Some((key, set)) = text.split_once(" in ") {
        (key, Test::In(members(set)?))
    } else if let Some(key) = text.strip_prefix('!') {
        (key, Test::Absent)
    } else {
        (text, Test::Exists)
    };
    let key = key.trim().to_owned();
    if key.is_empty() || key.contains(char::is_whitespace) {
        return Err(Status::bad_request(format!(
            "unable to parse requirement: {text}"
        )));
    }
    Ok(Requirement { key, test })
}

fn members(set: &str) -> Result<Vec<String>, Status> {
    let inner = set.trim().strip_prefix('(').and_then(|set| set.strip_suffix(')'));
    let inner = inner.ok_or_else(|| Status::bad_request(format!("unable to parse requirement: {set}")))?;
    Ok(inner.split(',').map(|member| member.trim().to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn matches(selector: &str) -> bool {
        let pod = json!({"metadata": {"labels": {"app": "web", "tier": "front"}}});
        let labels = requirements(selector).unwrap();
        Selector {
            labels,
            fields: Vec::new(),
        }
        .matches(&pod)
    }

    #[test]
    fn labels_are_selected_in_all_ways_of_writing() {
        for selector in [
            "app=web",
            "app==web,tier",
            "app in (db, web),tier!=back",
            "!other",
            "app notin (db)",
            "",
        ] {
            assert!(matches(selector), "{selector}");
        }
        for selector in [
            "app=db",
            "app in (db,cache)",
            "!app",
            "other",
            "app=web,tier=back",
            "app notin (web)",
        ] {
            assert!(!matches(selector), "{selector}");
        }
    }

    #[test]
    fn what_is_no_selector_is_refused() {
        assert!(requirements("app in web").is_err());
        assert!(requirements("two words").is_err());
    }
}
