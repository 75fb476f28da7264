//! What kind of work a file describes, and whether it can be read at all.

use serde_json::Value;

use brokkr_agent::document;
use brokkr_agent::execute::manifests;

/// The broker's own bound on a document; deeper or larger ones are not looked at here either.
const YAML_BYTES_MAX: usize = 8 * 1024 * 1024;

const COMMAND: &str = "command";
const CUSTOM: &str = "custom";
const BUILD: &str = "build";

/// Why a file cannot be submitted as it is. Each says where in which file.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum DocumentError {
    #[error("{place}: {message}")]
    Yaml { place: String, message: String },
    #[error("{file}: larger than {YAML_BYTES_MAX} bytes")]
    TooLarge { file: String },
    #[error("{file}: there is no YAML document in it")]
    Empty { file: String },
    #[error(
        "{file}: document {number} has no apiVersion and kind, so the type of work is not clear; say it with --type"
    )]
    Unclear { file: String, number: usize },
    #[error("{file}: it mixes commands with other documents; put each command into a file of its own")]
    Mixed { file: String },
    #[error(
        "{file}: one order runs exactly one command, and this file has {count}; put each into a file of its own"
    )]
    SeveralCommands { file: String, count: usize },
    #[error("{place}: {message}")]
    Manifests { place: String, message: String },
    #[error("{file}: {message}")]
    Command { file: String, message: String },
}

/// Reads the documents of a file and tells the work type: `given` if there is one, else what the documents say.
pub(crate) fn of(file: &str, yaml: &str, given: Option<&str>) -> Result<String, DocumentError> {
    let documents = read(file, yaml)?;
    let work_type = match given {
        Some(given) => given.to_owned(),
        None => infer(file, &documents)?.to_owned(),
    };
    match work_type.as_str() {
        COMMAND => check_command(file, yaml, &documents)?,
        CUSTOM => check_manifests(file, yaml)?,
        _ => {}
    }
    Ok(work_type)
}

/// What every agent would refuse, whatever its cluster and its policy, is told before anything is sent.
fn check_manifests(file: &str, yaml: &str) -> Result<(), DocumentError> {
    manifests::check(yaml).map_err(|fault| DocumentError::Manifests {
        place: match fault.line {
            Some(line) => format!("{file}:{line}"),
            None => file.to_owned(),
        },
        message: fault.message,
    })
}

/// What the agent would refuse is told before anything is sent.
fn check_command(file: &str, yaml: &str, documents: &[Value]) -> Result<(), DocumentError> {
    if 1 < documents.len() {
        return Err(DocumentError::SeveralCommands {
            file: file.to_owned(),
            count: documents.len(),
        });
    }
    document::Command::parse(yaml)
        .map(drop)
        .map_err(|error| DocumentError::Command {
            file: file.to_owned(),
            message: error.to_string(),
        })
}

/// Every document that is not empty.
fn read(file: &str, yaml: &str) -> Result<Vec<Value>, DocumentError> {
    if YAML_BYTES_MAX < yaml.len() {
        return Err(DocumentError::TooLarge {
            file: file.to_owned(),
        });
    }
    let options = serde_saphyr::options! { with_snippet: false };
    let documents: Vec<Value> = serde_saphyr::from_multiple_with_options(yaml, options).map_err(|error| {
        let place = match error.location() {
            Some(at) => format!("{file}:{}:{}", at.line(), at.column()),
            None => file.to_owned(),
        };
        DocumentError::Yaml {
            place,
            message: error.to_string(),
        }
    })?;
    let documents: Vec<Value> = documents
        .into_iter()
        .filter(|document| !document.is_null())
        .collect();
    if documents.is_empty() {
        return Err(DocumentError::Empty {
            file: file.to_owned(),
        });
    }
    Ok(documents)
}

fn infer(file: &str, documents: &[Value]) -> Result<&'static str, DocumentError> {
    let types: Vec<&'static str> = documents
        .iter()
        .enumerate()
        .map(|(index, document)| {
            type_of(document).ok_or_else(|| DocumentError::Unclear {
                file: file.to_owned(),
                number: index + 1,
            })
        })
        .collect::<Result<_, _>>()?;
    let commands = types.iter().filter(|found| **found == COMMAND).count();
    if commands == types.len() {
        Ok(COMMAND)
    } else if 0 < commands {
        Err(DocumentError::Mixed {
            file: file.to_owned(),
        })
    } else if types.contains(&BUILD) {
        Ok(BUILD)
    } else {
        Ok(CUSTOM)
    }
}

fn type_of(document: &Value) -> Option<&'static str> {
    let text = |name| document.get(name).and_then(Value::as_str);
    let (version, kind) = (text("apiVersion")?, text("kind")?);
    let group = version.split('/').next().unwrap_or_default();
    Some(match (group, version, kind) {
        (_, document::API_VERSION, document::KIND) => COMMAND,
        ("shipwright.io", _, "Build" | "BuildRun") | (_, "brokkr.io/v1alpha1", "WorkOrder") => BUILD,
        _ => CUSTOM,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELLO: &str = "apiVersion: brokkr.io/v1\nkind: Command\nspec: {command: [echo, hi]}\n";
    const JOB: &str = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: work}\n";
    const OPTIONS: &str = "apiVersion: brokkr.io/v1\nkind: Manifests\nspec: {wait: none}\n";
    const BUILD_RUN: &str = "apiVersion: shipwright.io/v1beta1\nkind: BuildRun\n";

    fn inferred(yaml: &str) -> Result<String, DocumentError> {
        of("work.yaml", yaml, None)
    }

    #[test]
    fn the_documents_say_what_kind_of_work_it_is() {
        assert_eq!(inferred(HELLO).unwrap(), "command");
        assert_eq!(inferred(JOB).unwrap(), "custom");
        assert_eq!(inferred(&format!("{OPTIONS}---\n{JOB}")).unwrap(), "custom");
        assert_eq!(inferred(&format!("{JOB}---\n{BUILD_RUN}")).unwrap(), "build");
        assert_eq!(
            inferred("apiVersion: brokkr.io/v1alpha1\nkind: WorkOrder\n").unwrap(),
            "build"
        );
    }

    #[test]
    fn empty_documents_are_passed_over() {
        assert_eq!(
            inferred(&format!("# comment\n---\n{JOB}---\n")).unwrap(),
            "custom"
        );
        assert!(matches!(
            inferred("# only a comment\n"),
            Err(DocumentError::Empty { .. })
        ));
    }

    #[test]
    fn what_is_not_clear_asks_for_the_type() {
        let error = inferred("image: nginx\n").unwrap_err();
        assert!(error.to_string().contains("--type"), "{error}");
        assert_eq!(
            of("work.yaml", "image: nginx\n", Some("special")).unwrap(),
            "special"
        );
    }

    #[test]
    fn commands_come_alone() {
        assert!(matches!(
            inferred(&format!("{HELLO}---\n{JOB}")),
            Err(DocumentError::Mixed { .. })
        ));
        assert!(matches!(
            inferred(&format!("{HELLO}---\n{HELLO}")),
            Err(DocumentError::SeveralCommands { .. })
        ));
    }

    #[test]
    fn a_syntax_error_names_file_and_line() {
        let error = inferred("apiVersion: v1\nkind: [Command\nspec:\n").unwrap_err();
        assert!(error.to_string().starts_with("work.yaml:"), "{error}");
        let DocumentError::Yaml { place, .. } = error else {
            panic!("{error}")
        };
        let line: u32 = place.split(':').nth(1).unwrap().parse().unwrap();
        assert!((2..=4).contains(&line), "{place}");
    }

    #[test]
    fn manifests_that_every_agent_would_refuse_are_refused_here_with_file_and_line() {
        let unnamed = inferred(&format!("{JOB}---\napiVersion: v1\nkind: ConfigMap\n")).unwrap_err();
        let DocumentError::Manifests { place, message } = unnamed else {
            panic!("{unnamed}")
        };
        assert!(place.starts_with("work.yaml:"), "{place}");
        assert!(message.starts_with("document 2: metadata"), "{message}");

        let misspelt = inferred(&format!("{}---\n{JOB}", OPTIONS.replace("wait", "weight"))).unwrap_err();
        assert!(misspelt.to_string().contains("weight"), "{misspelt}");
    }

    #[test]
    fn a_command_that_the_agent_would_refuse_is_refused_here() {
        let error =
            inferred("apiVersion: brokkr.io/v1\nkind: Command\nspec: {comand: [echo]}\n").unwrap_err();
        assert!(matches!(error, DocumentError::Command { .. }), "{error}");
    }
}
