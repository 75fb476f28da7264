//! The fuzz target for the content of orders.

use brokkr_testkit_fuzz::{Fuzz, SECRET};

use super::*;

const WORDS: &[&str] = &[
    "---\n",
    "...\n",
    "- ",
    ": ",
    "? ",
    "&a ",
    "*a",
    "<<: *a",
    "[",
    "]",
    "{",
    "}",
    "\"",
    "'",
    "| ",
    ">-\n",
    "!!binary ",
    "!t ",
    "%YAML 1.2\n",
    "#",
    "  ",
    "\n",
    ",",
    "a",
    "null",
    "~",
    "\\u0000",
    "\\x",
    SECRET,
];

fn narrow() -> Limits {
    Limits {
        yaml_bytes_max: 2_000,
        yaml_depth_max: 6,
        ..Limits::default()
    }
}

#[test]
fn content() {
    Fuzz::new("yaml", WORDS).run_texts(|content| {
        let (wide, narrow) = (check(content, &Limits::default()), check(content, &narrow()));
        if narrow.is_ok() {
            assert_eq!(wide, Ok(()), "narrow limits let more through than wide ones");
            assert!(content.len() <= 2_000, "{} bytes", content.len());
            assert!(brackets(content).is_none_or(|depth| depth <= 6), "too deep");
        }
        match wide {
            Ok(()) => {
                assert!(!content.trim().is_empty() && !content.contains('\0'));
                assert!(brackets(content).is_none_or(|depth| depth <= 64), "too deep");
                format!("accepted, narrow: {}", outcome(&narrow))
            }
            Err(error) => {
                stands_in_the_text(&error, content);
                assert!(
                    !error.to_string().contains(SECRET),
                    "the error quotes the content: {error}"
                );
                outcome(&Err(error))
            }
        }
    });
}

/// How deep a content of nothing but lists goes; nothing for any other one.
fn brackets(content: &str) -> Option<usize> {
    if !content.starts_with('[') || content.contains(|letter| !"[], 1".contains(letter)) {
        return None;
    }
    let (mut depth, mut deepest) = (0_usize, 0);
    for letter in content.chars() {
        match letter {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    Some(deepest)
}

fn stands_in_the_text(error: &YamlError, content: &str) {
    if let YamlError::Syntax { line, column, .. } = error {
        let lines = content.split(['\n', '\r']).count() + 1;
        assert!((1..=lines).contains(line), "line {line} of {lines}");
        assert!(
            (1..=content.chars().count() + 2).contains(column),
            "column {column}"
        );
    }
}

fn outcome(checked: &Result<(), YamlError>) -> String {
    match checked {
        Ok(()) => "accepted".to_owned(),
        Err(YamlError::Syntax { reason, .. }) => reason.clone(),
        Err(YamlError::TooLarge { .. }) => "too large".to_owned(),
        Err(error) => error.to_string(),
    }
}
