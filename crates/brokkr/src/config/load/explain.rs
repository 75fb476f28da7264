//! What is wrong with a configuration, in words. Values are never among them: any of them may be a password in the wrong place.

use figment::error::{Actual, Kind};

use super::PREFIX;

/// Every mistake on a line of its own: the key, what is wrong with it, and where it stands.
pub(super) fn explain(error: figment::Error) -> String {
    let lines = error.into_iter().map(|error| {
        let mut path = error.path.clone();
        if let Kind::UnknownField(name, _) = &error.kind
            && path.last() != Some(name)
        {
            path.push(name.clone());
        }
        let (problem, place) = (problem(&error.kind), place(&error, &path));
        match path.as_slice() {
            // Such as a file that is no TOML: the message names the place.
            [] => format!("{problem}{place}"),
            path => format!("{}: {problem}{place}", path.join(".")),
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn problem(kind: &Kind) -> String {
    match kind {
        Kind::UnknownField(..) => "there is no such key".to_owned(),
        Kind::InvalidType(actual, expected) | Kind::InvalidValue(actual, expected) => {
            format!("found {}, expected {expected}", without_value(actual))
        }
        Kind::UnknownVariant(_, known) => format!("expected {}", known.join(" or ")),
        Kind::Message(message) => without_source(message),
        kind => kind.to_string(),
    }
}

fn without_value(actual: &Actual) -> String {
    match actual {
        Actual::Str(_) | Actual::Char(_) | Actual::Other(_) => "a text".to_owned(),
        actual => actual.to_string(),
    }
}

/// The lines of a message that show no line of the file.
fn without_source(message: &str) -> String {
    let shows_source = |line: &&str| {
        line.trim_start_matches(|letter: char| letter.is_ascii_digit() || letter == ' ')
            .starts_with('|')
    };
    let told: Vec<&str> = message.lines().filter(|line| !shows_source(line)).collect();
    told.join("\n")
}

fn place(error: &figment::Error, path: &[String]) -> String {
    let Some(metadata) = &error.metadata else {
        return String::new();
    };
    match &metadata.source {
        Some(figment::Source::File(file)) => format!(" (in {})", file.display()),
        _ if metadata.name.contains("environment") => {
            format!(" (variable {PREFIX}{})", path.join("__").to_ascii_uppercase())
        }
        _ => String::new(),
    }
}
