use rstest::rstest;

use super::*;
use crate::policy::Window;

#[test]
fn the_example_is_a_policy() {
    let policy = read(include_str!("../../../../../examples/policy.yaml")).unwrap();
    assert!(policy.permits("custom").is_ok());
    assert!(policy.permits("command").is_err());
    assert_eq!(policy.slots("build"), Some(1));
    assert!(policy.check_namespace("shop", "agents").is_ok());
    let now = "2026-11-22T12:00:00Z".parse().unwrap();
    assert!(matches!(policy.window(now), Window::Closed { .. }));
}

#[test]
fn an_empty_file_is_the_default() {
    for yaml in ["", "# nothing\n", "{}\n", "windows: []\n"] {
        let policy = read(yaml).unwrap();
        assert!(policy.permits("build").is_ok(), "{yaml}");
        assert!(policy.check_namespace("agents", "agents").is_ok(), "{yaml}");
        assert!(policy.check_namespace("shop", "agents").is_err(), "{yaml}");
    }
}

#[rstest]
#[case::unknown_key("\nimage: {allow: [a]}\n", "image")]
#[case::unknown_inner_key("images: {deny: [a]}\n", "deny")]
#[case::duplicate("privileged: true\nprivileged: false\n", "privileged")]
#[case::no_mapping("- workTypes\n", "line 1")]
#[case::no_list("workTypes: custom\n", "line 1")]
#[case::no_truth("privileged: sometimes\n", "line 1")]
#[case::two("privileged: false\n---\nprivileged: true\n", "more than one document")]
#[case::no_duration("windows:\n- start: 0 22 * * *\n", "duration")]
fn a_rule_that_is_not_understood_is_not_skipped(#[case] yaml: &str, #[case] why: &str) {
    let error = read(yaml).unwrap_err();
    assert!(matches!(error, PolicyFileError::Yaml(_)), "{error:?}");
    assert!(error.to_string().contains(why), "{error} does not say {why:?}");
}

#[rstest]
#[case::empty_pattern(
    "images:\n  allow:\n  - busybox\n  - ''\n",
    "line 4: images.allow[1] is empty"
)]
#[case::spaces(
    "kinds:\n  deny: ['Secret, ConfigMap']\n",
    "line 2: kinds.deny[0] contains white space"
)]
#[case::no_slots(
    "slots:\n  build: 0\n",
    "line 2: slots.build is zero; leave the type out of workTypes instead"
)]
#[case::no_account(
    "serviceAccounts:\n  default:\n    shop: ''\n",
    "line 3: serviceAccounts.default.shop is empty"
)]
#[case::no_moment(
    "windows:\n- start: 0 25 * * *\n  duration: 6h\n",
    "line 2: windows[0].start is no moment that comes"
)]
#[case::no_time(
    "windows:\n- start: 0 22 * * *\n  duration: six hours\n",
    "line 3: windows[0].duration is no time"
)]
#[case::no_zone(
    "windows:\n- start: 0 22 * * *\n  duration: 6h\n  zone: Berlin\n",
    "line 4: windows[0].zone is no time zone, like Europe/Berlin"
)]
fn a_value_that_makes_no_sense_is_named_with_its_line(#[case] yaml: &str, #[case] why: &str) {
    let message = read(yaml).unwrap_err().to_string();
    assert!(message.starts_with(why), "{message:?} does not say {why:?}");
}

#[test]
fn a_duration_may_have_spaces_and_a_zone_may_be_missing() {
    let policy = read("windows: [{start: '0 22 * * *', duration: 1h 30m}]\n").unwrap();
    let now = "2026-11-22T23:00:00Z".parse().unwrap();
    let until = Some("2026-11-22T23:30:00Z".parse().unwrap());
    assert_eq!(policy.window(now), Window::Open { until });
}
