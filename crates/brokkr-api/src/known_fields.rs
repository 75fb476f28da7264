//! Which fields a lenient request body has, so that the others can be reported instead of being lost in silence.

use serde_json::Value;

/// A request body that ignores unknown fields.
pub trait KnownFields {
    /// The names of all members.
    const FIELDS: &'static [&'static str];
    /// Members that are objects with fixed members of their own.
    const NESTED: &'static [(&'static str, &'static [&'static str])] = &[];

    /// The members of `body` that will be ignored, nested ones as `outer.inner`, sorted.
    fn unknown_fields(body: &Value) -> Vec<String> {
        let mut unknown = unknown_in(body, "", Self::FIELDS);
        for (name, fields) in Self::NESTED {
            if let Some(inner) = body.get(name) {
                unknown.extend(unknown_in(inner, &format!("{name}."), fields));
            }
        }
        unknown.sort();
        unknown
    }
}

fn unknown_in(body: &Value, prefix: &str, known: &[&str]) -> Vec<String> {
    let Some(members) = body.as_object() else {
        return Vec::new();
    };
    members
        .keys()
        .filter(|name| !known.contains(&name.as_str()))
        .map(|name| format!("{prefix}{name}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use serde::Serialize;
    use serde::de::DeserializeOwned;
    use serde_json::json;

    use super::*;
    use crate::*;

    /// `full` sets every member, so a member that `FIELDS` forgets, or one that it invents, shows.
    fn assert_fields_are<T: KnownFields + Serialize + DeserializeOwned + Debug>(full: Value) {
        let parsed: T = serde_json::from_value(full).unwrap();
        let written = serde_json::to_value(&parsed).unwrap();
        let mut names: Vec<_> = written.as_object().unwrap().keys().map(String::as_str).collect();
        let mut known = T::FIELDS.to_vec();
        names.sort_unstable();
        known.sort_unstable();
        assert_eq!(names, known, "{}", std::any::type_name::<T>());
        assert_eq!(T::unknown_fields(&written), Vec::<String>::new());
    }

    #[test]
    fn the_known_fields_are_the_members() {
        let id = "018f0000-0000-7000-8000-000000000001";
        assert_fields_are::<CreateWorkOrder>(json!({
            "work_type": "command", "yaml_content": "a: b", "max_retries": 1, "backoff_seconds": 1,
            "claim_timeout_seconds": 1, "targeting": {"agent_ids": [id], "labels": ["l"], "annotations": {"k": "v"}},
            "target_agent_ids": [id], "infrastructure_retries_max": 1, "priority": 1, "deadline_seconds": 1, "start_by": "2026-01-01T00:00:00Z",
            "start_by_seconds": 1,
            "run_at": "2026-01-01T00:00:00Z", "delivery": "at_most_once", "retry_on": ["work"], "metadata": {"a": "b"},
        }));
        assert_fields_are::<ClaimById>(json!({"agent_id": id}));
        assert_fields_are::<Complete>(json!({
            "success": true, "message": "m", "retryable": false, "attempt": 1, "class": "work", "exit_code": 1,
            "result": {"a": 1},
        }));
        assert_fields_are::<CreateAgent>(json!({"name": "n", "cluster_name": "c", "generator_ids": [id]}));
        assert_fields_are::<UpdateAgent>(json!({"name": "n", "cluster_name": "c", "status": "ACTIVE"}));
        assert_fields_are::<AddLabel>(json!({"agent_id": id, "label": "l"}));
        assert_fields_are::<AddAnnotation>(json!({"agent_id": id, "key": "k", "value": "v"}));
        assert_fields_are::<Heartbeat>(json!({"k8s_reachable": true, "k8s_api_latency_ms": 3}));
        assert_fields_are::<CreateGenerator>(json!({"name": "n", "description": "d"}));
        assert_fields_are::<UpdateGenerator>(json!({"name": "n", "description": "d"}));
    }

    #[test]
    fn unknown_fields_are_named_with_their_place() {
        let body = json!({"work_typ": 1, "targeting": {"lables": []}, "yaml_content": ""});
        assert_eq!(
            CreateWorkOrder::unknown_fields(&body),
            ["targeting.lables", "work_typ"]
        );
    }
}
