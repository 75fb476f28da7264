use rstest::rstest;

use super::*;

fn document(spec: &str) -> String {
    format!("apiVersion: brokkr.io/v1\nkind: Command\nspec: {spec}\n")
}

#[test]
fn a_full_document_is_taken_as_it_is() {
    let yaml = r#"
apiVersion: brokkr.io/v1
kind: Command
metadata:
  name: greet
spec:
  command: [echo, "hello  $HOME"]
  args: ["*"]
  env:
    COLOUR: blue
  workingDirectory: /srv
  stdin: |
    some text
  deadlineSeconds: 30
"#;
    let command = Command::parse(yaml).unwrap();
    assert_eq!(command.argv, ["echo", "hello  $HOME", "*"]);
    assert_eq!(command.env["COLOUR"], "blue");
    assert_eq!(command.working_directory.unwrap(), PathBuf::from("/srv"));
    assert_eq!(command.stdin.unwrap(), "some text\n");
    assert_eq!(command.deadline_seconds, Some(30));
}

#[test]
fn a_shell_is_used_when_asked_and_gets_args_as_its_parameters() {
    let command = Command::parse(&document("{shell: 'echo $1', args: [one]}")).unwrap();
    assert_eq!(command.argv, ["/bin/sh", "-c", "echo $1", "sh", "one"]);
}

#[rstest]
#[case::nothing("", "there is no document")]
#[case::only_a_comment("# nothing\n", "there is no document")]
#[case::another_version(
    "apiVersion: v1\nkind: Command\nspec: {command: [a]}\n",
    "apiVersion is \"v1\""
)]
#[case::another_kind(
    "apiVersion: brokkr.io/v1\nkind: Job\nspec: {command: [a]}\n",
    "kind is \"Job\""
)]
#[case::no_kind("apiVersion: brokkr.io/v1\nspec: {command: [a]}\n", "kind is missing")]
#[case::no_mapping("hello", "apiVersion is missing")]
#[case::no_yaml("a: [", "cannot be read")]
#[case::no_spec("apiVersion: brokkr.io/v1\nkind: Command\n", "spec")]
#[case::unknown_field(&document("{command: [a], comand: [b]}"), "comand")]
#[case::unknown_top(
    "apiVersion: brokkr.io/v1\nkind: Command\nspec: {command: [a]}\nstatus: {}\n",
    "status"
)]
#[case::unknown_metadata(
    "apiVersion: brokkr.io/v1\nkind: Command\nmetadata: {labels: {}}\nspec: {command: [a]}\n",
    "labels"
)]
#[case::duplicate_key(&document("{command: [a], command: [b]}"), "command")]
#[case::no_command(&document("{args: [a]}"), "neither command")]
#[case::both(&document("{command: [a], shell: b}"), "both command and shell")]
#[case::empty_command(&document("{command: []}"), "names no program")]
#[case::blank_program(&document("{command: ['']}"), "names no program")]
#[case::text_command(&document("{command: echo hello}"), "cannot be read")]
#[case::nul_in_argument(&document(r#"{command: [a, "b\0c"]}"#), "NUL byte")]
#[case::relative_directory(&document("{command: [a], workingDirectory: srv}"), "absolute")]
#[case::zero_deadline(&document("{command: [a], deadlineSeconds: 0}"), "is zero")]
#[case::negative_deadline(&document("{command: [a], deadlineSeconds: -1}"), "cannot be read")]
#[case::endless_deadline(&document("{command: [a], deadlineSeconds: 99999999999}"), "longer than a year")]
#[case::senseless_variable(&document("{command: [a], env: {'A=B': c}}"), "not the name of a variable")]
#[case::reserved_variable(&document("{command: [a], env: {BROKKR_ATTEMPT: '7'}}"), "keeps for itself")]
#[case::nul_in_variable(&document(r#"{command: [a], env: {A: "\0"}}"#), "NUL byte")]
fn a_senseless_document_is_refused_and_says_why(#[case] yaml: &str, #[case] why: &str) {
    let message = Command::parse(yaml).unwrap_err().to_string();
    assert!(message.contains(why), "{message:?} does not say {why:?}");
}

#[test]
fn a_second_document_is_refused_by_its_number() {
    let yaml = format!(
        "{}---\n{}",
        document("{command: [a]}"),
        document("{command: [b]}")
    );
    assert_eq!(Command::parse(&yaml), Err(DocumentError::Several { number: 2 }));
}

#[test]
fn markers_around_the_one_document_do_no_harm() {
    assert!(Command::parse(&format!("---\n{}---\n", document("{command: [a]}"))).is_ok());
}

#[test]
fn messages_never_quote_the_document() {
    let yaml = document("{command: [a], env: {TOKEN: sesame}, deadlineSeconds: sesame2, x: sesame3}");
    let message = Command::parse(&yaml).unwrap_err().to_string();
    assert!(!message.contains("sesame"), "{message}");
}

#[test]
fn yaml_beyond_the_limits_is_refused() {
    let deep = document(&format!("{}{}", "[".repeat(200), "]".repeat(200)));
    assert!(matches!(Command::parse(&deep), Err(DocumentError::Yaml(_))));
    let large = document(&format!("{{shell: '{}'}}", "x".repeat(YAML_BYTES_MAX)));
    assert_eq!(Command::parse(&large), Err(DocumentError::TooLarge));
}
