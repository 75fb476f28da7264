//! How an applied configuration changes an object.

use serde_json::Value;

use super::schema::{ListType, is_atomic_map, key_of, list_type};

/// Sets everything that `config` sets.
pub(super) fn merge(object: &mut Value, config: &Value) {
    let Some(fields) = config.as_object() else { return };
    for (field, value) in fields {
        if !value.is_null() {
            merge_field(&mut object[field], field, value);
        }
    }
}

fn merge_field(live: &mut Value, field: &str, value: &Value) {
    match (&mut *live, value) {
        (Value::Object(_), Value::Object(_)) if !is_atomic_map(field) => merge(live, value),
        (Value::Array(items), Value::Array(wanted)) => match list_type(field, wanted) {
            ListType::Atomic => live.clone_from(value),
            ListType::Set => {
                for member in wanted {
                    if !items.contains(member) {
                        items.push(member.clone());
                    }
                }
            }
            ListType::Map(keys) => merge_items(items, wanted, keys),
        },
        _ => live.clone_from(value),
    }
}

fn merge_items(items: &mut Vec<Value>, wanted: &[Value], keys: &[&str]) {
    for item in wanted {
        let key = key_of(item, keys);
        match items.iter_mut().find(|live| key_of(live, keys) == key) {
            Some(live) => merge(live, item),
            None => items.push(item.clone()),
        }
    }
}
