//! Whether and how text is coloured.

use std::io::IsTerminal as _;

/// What a colour says. Nothing is said by colour alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Good,
    Bad,
    Busy,
    Quiet,
}

impl Tone {
    fn sgr(self) -> Option<&'static str> {
        match self {
            Tone::Plain => None,
            Tone::Good => Some("32"),
            Tone::Bad => Some("31"),
            Tone::Busy => Some("33"),
            Tone::Quiet => Some("2"),
        }
    }
}

/// Where coloured text is going.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

/// Whether colours are wanted there: a terminal that can, and no `NO_COLOR`.
pub(crate) fn wanted(stream: Stream) -> bool {
    let terminal = match stream {
        Stream::Stdout => std::io::stdout().is_terminal(),
        Stream::Stderr => std::io::stderr().is_terminal(),
    };
    decide(terminal, |name| std::env::var(name).ok())
}

fn decide(terminal: bool, variable: impl Fn(&str) -> Option<String>) -> bool {
    let no_colour = variable("NO_COLOR").is_some_and(|value| !value.is_empty());
    terminal && !no_colour && variable("TERM").as_deref() != Some("dumb")
}

/// The text in its tone, where colours are wanted.
pub(crate) fn paint(stream: Stream, tone: Tone, text: &str) -> String {
    match tone.sgr() {
        Some(sgr) if wanted(stream) => format!("\x1b[{sgr}m{text}\x1b[0m"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_need_a_terminal_and_no_no_color() {
        let none = |_: &str| None;
        let no_color = |name: &str| (name == "NO_COLOR").then(|| "1".to_owned());
        let empty_no_color = |name: &str| (name == "NO_COLOR").then(String::new);
        let dumb = |name: &str| (name == "TERM").then(|| "dumb".to_owned());
        assert!(decide(true, none) && decide(true, empty_no_color));
        assert!(!decide(false, none) && !decide(true, no_color) && !decide(true, dumb));
    }
}
