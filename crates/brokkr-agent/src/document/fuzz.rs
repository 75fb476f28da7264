//! The fuzz target for commands.

use brokkr_testkit_fuzz::{Fuzz, SECRET};
use serde_json::json;

use super::*;

const WORDS: &[&str] = &[
    "apiVersion: brokkr.io/v1\n",
    "kind: Command\n",
    "metadata:\n",
    "spec:\n",
    "  command: [",
    "  shell: ",
    "  args: [",
    "  env: {",
    "  workingDirectory: /",
    "  stdin: |\n",
    "  deadlineSeconds: ",
    "BROKKR_",
    "---\n",
    "&a ",
    "*a",
    "<<: ",
    "\\0",
    "\"",
    "'",
    "]",
    "}",
    ": ",
    "\n",
    SECRET,
];

#[test]
fn commands() {
    Fuzz::new("commands", WORDS).run_texts(|yaml| match Command::parse(yaml) {
        Ok(command) => {
            can_be_started(&command);
            if !command.env.keys().any(|name| is_too_long(name)) {
                assert_eq!(Command::parse(&written(&command)).as_ref(), Ok(&command));
            }
            let parts = [
                command.working_directory.is_some(),
                command.stdin.is_some(),
                command.deadline_seconds.is_some(),
            ];
            format!(
                "{} words, {} variables, {parts:?}",
                command.argv.len(),
                command.env.len()
            )
        }
        Err(error) => {
            let told = error.to_string();
            assert!(
                !told.contains(SECRET) || names_a_key(&error),
                "the error quotes a value: {told}"
            );
            kind_of(&error)
        }
    });
}

/// Nothing in it that a process cannot be given.
fn can_be_started(command: &Command) {
    assert!(command.argv.first().is_some_and(|program| !program.is_empty()));
    let variables = command.env.iter().flat_map(|(name, value)| [name, value]);
    assert!(
        !command
            .argv
            .iter()
            .chain(variables)
            .any(|text| text.contains('\0'))
    );
    assert!(
        command
            .env
            .keys()
            .all(|name| !name.is_empty() && !name.contains('='))
    );
    assert!(
        command
            .working_directory
            .iter()
            .all(|directory| directory.is_absolute())
    );
    assert!(
        command
            .deadline_seconds
            .is_none_or(|seconds| (1..=DEADLINE_SECONDS_MAX).contains(&seconds))
    );
}

/// The command as a document again: JSON, which is YAML, with all that YAML may not hold as it is written as an escape.
fn written(command: &Command) -> String {
    let document = json!({"apiVersion": API_VERSION, "kind": KIND, "spec": {
        "command": command.argv, "env": command.env, "workingDirectory": command.working_directory,
        "stdin": command.stdin, "deadlineSeconds": command.deadline_seconds,
    }});
    escaped(&document.to_string())
}

/// YAML looks no further than 1,024 characters for the colon behind a key, so that a longer one cannot be written as JSON has it.
pub(crate) fn is_too_long(key: &str) -> bool {
    escaped(key).len() > 1_000
}

/// JSON with nothing but printable ASCII in it.
pub(crate) fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for letter in json.chars() {
        match letter {
            ' '..='~' => text.push(letter),
            _ => text.push_str(&format!("\\U{:08x}", u32::from(letter))),
        }
    }
    text
}

/// Names of fields and variables are told, since the error would be of no use without them.
fn names_a_key(error: &DocumentError) -> bool {
    match error {
        DocumentError::WrongKind { .. } | DocumentError::Field { .. } => true,
        DocumentError::Yaml(reason) => ["unknown field", "duplicate"]
            .iter()
            .any(|of_key| reason.contains(of_key)),
        DocumentError::TooLarge | DocumentError::Empty | DocumentError::Several { .. } => false,
    }
}

fn kind_of(error: &DocumentError) -> String {
    match error {
        DocumentError::Yaml(reason) => reason
            .chars()
            .filter(char::is_ascii_alphabetic)
            .take(40)
            .collect(),
        DocumentError::WrongKind { field, .. } => format!("wrong {field}"),
        DocumentError::Field { problem, .. } => (*problem).to_owned(),
        other => other.to_string(),
    }
}
