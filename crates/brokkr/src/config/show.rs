//! The configuration in force as text, secrets masked.

use serde_json::Value;
use url::Url;

use super::{Config, Loaded};

const MASK: &str = "***";

/// Every key with its value, in the order of the sections. A section within a section comes behind its keys, as in TOML.
pub(crate) fn flattened(config: &Config) -> Vec<(String, Value)> {
    let mut keys = Vec::new();
    if let Ok(Value::Object(sections)) = serde_json::to_value(config) {
        for (section, value) in sections {
            flatten(section, value, &mut keys);
        }
    }
    keys
}

fn flatten(path: String, value: Value, keys: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(members) => {
            let (sections, plain): (Vec<_>, Vec<_>) =
                members.into_iter().partition(|(_, value)| value.is_object());
            for (name, value) in plain.into_iter().chain(sections) {
                flatten(format!("{path}.{name}"), value, keys);
            }
        }
        value => keys.push((path, value)),
    }
}

/// The value as people may see it.
pub(crate) fn masked(key: &str, value: &Value) -> Value {
    match (key, value) {
        ("database.url", Value::String(text)) => Value::String(mask_password(text)),
        ("admin.pak_hash", Value::String(_)) => Value::String(MASK.to_owned()),
        _ => value.clone(),
    }
}

/// An address without its password, wherever that stands.
pub(crate) fn mask_password(text: &str) -> String {
    let Ok(mut url) = Url::parse(text) else {
        return text.to_owned();
    };
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let in_query = pairs.iter().any(|(name, _)| name == "password");
    if url.password().is_none() && !in_query {
        return text.to_owned();
    }
    if url.password().is_some() && url.set_password(Some(MASK)).is_err() {
        return MASK.to_owned();
    }
    if in_query {
        let masked = pairs
            .iter()
            .map(|(name, value)| (name, if name == "password" { MASK } else { value }));
        url.query_pairs_mut().clear().extend_pairs(masked);
    }
    url.to_string()
}

/// The configuration as TOML, with where each value comes from.
pub(crate) fn as_toml(loaded: &Loaded) -> String {
    let mut text = String::new();
    let mut current = String::new();
    for (key, value) in flattened(&loaded.config) {
        let (section, name) = key.rsplit_once('.').unwrap_or(("", &key));
        if section != current {
            let gap = if text.is_empty() { "" } else { "\n" };
            text.push_str(&format!("{gap}[{section}]\n"));
            section.clone_into(&mut current);
        }
        let origin = loaded.origin(&key);
        text.push_str(&match masked(&key, &value) {
            // TOML has no word for nothing.
            Value::Null => format!("# {name} is not set\n"),
            value => format!("{:<40} # {origin}\n", format!("{name} = {}", toml_value(&value))),
        });
    }
    text
}

/// JSON's text, numbers, booleans and lists of these are TOML's too, except for some escapes.
pub(crate) fn toml_value(value: &Value) -> String {
    match value {
        Value::String(text) => toml::Value::String(text.clone()).to_string(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_masked_and_nothing_else_changes() {
        assert_eq!(
            mask_password("postgres://me:secret@db/x"),
            "postgres://me:***@db/x"
        );
        assert_eq!(
            mask_password("postgres://db/x?user=me&password=secret"),
            "postgres://db/x?user=me&password=***"
        );
        assert_eq!(mask_password("sqlite:brokkr.db"), "sqlite:brokkr.db");
        assert_eq!(mask_password("postgres://me@db/x"), "postgres://me@db/x");
    }
}
