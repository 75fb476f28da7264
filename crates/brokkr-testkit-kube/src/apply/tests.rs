use super::*;

fn writer(manager: &str, operation: Operation) -> Writer {
    Writer {
        manager: manager.to_owned(),
        operation,
        api_version: "v1".to_owned(),
        subresource: None,
    }
}

fn apply(live: Option<&Value>, manager: &str, config: &Value, force: bool) -> Result<Value, Status> {
    let application = Application {
        config,
        writer: writer(manager, Operation::Apply),
        force,
        now: DateTime::UNIX_EPOCH,
    };
    application.to(live)
}

#[test]
fn two_managers_that_set_one_field_differently_conflict() {
    let live = apply(None, "ours", &json!({"data": {"a": "1", "b": "1"}}), false).unwrap();

    let refused = apply(Some(&live), "theirs", &json!({"data": {"a": "2"}}), false).unwrap_err();

    assert_eq!((refused.code, refused.reason.as_str()), (409, "Conflict"));
    assert_eq!(
        refused.details.causes,
        [Cause {
            reason: "FieldManagerConflict",
            message: r#"conflict with "ours""#.to_owned(),
            field: ".data.a".to_owned(),
        }]
    );
}

#[test]
fn force_takes_the_field_over() {
    let live = apply(None, "ours", &json!({"data": {"a": "1", "b": "1"}}), false).unwrap();

    let taken = apply(Some(&live), "theirs", &json!({"data": {"a": "2"}}), true).unwrap();
    let back = apply(
        Some(&taken),
        "ours",
        &json!({"data": {"a": "1", "b": "1"}}),
        false,
    )
    .unwrap_err();

    assert_eq!(taken["data"], json!({"a": "2", "b": "1"}));
    assert_eq!(back.details.causes[0].message, r#"conflict with "theirs""#);
}

#[test]
fn equal_values_are_shared_and_stay_until_the_last_owner_lets_go() {
    let config = json!({"data": {"a": "1", "b": "1"}});
    let live = apply(None, "ours", &config, false).unwrap();
    let live = apply(Some(&live), "theirs", &json!({"data": {"a": "1"}}), false).unwrap();

    let live = apply(Some(&live), "ours", &json!({"data": {"b": "1"}}), false).unwrap();
    assert_eq!(live["data"], json!({"a": "1", "b": "1"}));

    let live = apply(Some(&live), "theirs", &json!({}), false).unwrap();
    assert_eq!(live["data"], json!({"b": "1"}));
}

#[test]
fn what_is_not_applied_any_more_goes() {
    let live = apply(
        None,
        "ours",
        &json!({"data": {"a": "1"}, "spec": {"x": {"y": 1}}}),
        false,
    )
    .unwrap();

    let live = apply(Some(&live), "ours", &json!({"spec": {"z": 1}}), false).unwrap();

    assert_eq!(live["data"], Value::Null);
    assert_eq!(live["spec"], json!({"z": 1}));
}

#[test]
fn items_of_lists_with_keys_have_owners_of_their_own() {
    let containers = |containers: Value| json!({"spec": {"containers": containers}});
    let ours = containers(json!([{"name": "a", "image": "1"}, {"name": "b", "image": "1"}]));
    let live = apply(None, "ours", &ours, false).unwrap();
    let theirs = containers(json!([{"name": "c", "image": "1"}]));
    let live = apply(Some(&live), "theirs", &theirs, false).unwrap();
    assert_eq!(live["spec"]["containers"].as_array().unwrap().len(), 3);

    let refused = apply(
        Some(&live),
        "theirs",
        &containers(json!([{"name": "a", "image": "2"}])),
        false,
    )
    .unwrap_err();
    assert_eq!(
        refused.details.causes[0].field,
        r#".spec.containers[name="a"].image"#
    );

    let live = apply(
        Some(&live),
        "ours",
        &containers(json!([{"name": "b", "image": "1"}])),
        false,
    )
    .unwrap();
    let names: Vec<_> = live["spec"]["containers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["name"])
        .collect();
    assert_eq!(names, ["b", "c"]);
}

#[test]
fn an_update_takes_the_fields_it_changes() {
    let live = apply(None, "ours", &json!({"data": {"a": "1", "b": "1"}}), false).unwrap();
    let mut edited = live.clone();
    edited["data"]["a"] = json!("2");
    track(
        &mut edited,
        Some(&live),
        &writer("editor", Operation::Update),
        DateTime::UNIX_EPOCH,
    );

    let refused = apply(
        Some(&edited),
        "ours",
        &json!({"data": {"a": "1", "b": "1"}}),
        false,
    )
    .unwrap_err();

    assert_eq!(
        refused.details.causes[0].message,
        r#"conflict with "editor" using v1"#
    );
    assert_eq!(refused.details.causes.len(), 1);
}

#[test]
fn applying_the_same_again_changes_nothing() {
    let config = json!({"metadata": {"labels": {"a/b.c": "1"}}, "spec": {"containers": [{"name": "a", "args": ["x"]}]}});
    let live = apply(None, "ours", &config, false).unwrap();
    let application = Application {
        config: &config,
        writer: writer("ours", Operation::Apply),
        force: false,
        now: DateTime::UNIX_EPOCH + chrono::TimeDelta::days(1),
    };

    assert_eq!(application.to(Some(&live)).unwrap(), live);
}
