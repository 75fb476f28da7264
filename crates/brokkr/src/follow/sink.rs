//! Where pieces of output go.

use std::io::{self, Write};

use anyhow::Context as _;
use brokkr_api::{OutputPiece, stream};

/// Writes the output of one order: exactly as it is, or line by line behind a prefix.
#[derive(Debug)]
pub(super) struct Sink {
    prefix: Option<String>,
    stdout: String,
    stderr: String,
}

impl Sink {
    pub(super) fn new(prefix: Option<&str>) -> Sink {
        let prefix = prefix.map(|prefix| format!("{prefix} | "));
        Sink {
            prefix,
            stdout: String::new(),
            stderr: String::new(),
        }
    }

    pub(super) fn write(&mut self, piece: &OutputPiece) -> anyhow::Result<()> {
        let to_stdout = piece.stream == stream::STDOUT;
        let Some(prefix) = &self.prefix else {
            return put(to_stdout, &piece.data);
        };
        let waiting = if to_stdout {
            &mut self.stdout
        } else {
            &mut self.stderr
        };
        waiting.push_str(&piece.data);
        match waiting.rfind('\n') {
            Some(end) => {
                let rest = waiting.split_off(end + 1);
                let lines = std::mem::replace(waiting, rest);
                put(to_stdout, &prefixed(prefix, &lines))
            }
            None => Ok(()),
        }
    }

    /// Writes lines that have no end.
    pub(super) fn finish(&mut self) -> anyhow::Result<()> {
        let Some(prefix) = &self.prefix else { return Ok(()) };
        for (to_stdout, rest) in [(true, &mut self.stdout), (false, &mut self.stderr)] {
            if !rest.is_empty() {
                put(to_stdout, &prefixed(prefix, &std::mem::take(rest)))?;
            }
        }
        Ok(())
    }
}

fn prefixed(prefix: &str, lines: &str) -> String {
    lines.lines().map(|line| format!("{prefix}{line}\n")).collect()
}

fn put(to_stdout: bool, text: &str) -> anyhow::Result<()> {
    let write = |out: &mut dyn Write| out.write_all(text.as_bytes()).and_then(|()| out.flush());
    if to_stdout {
        write(&mut io::stdout().lock()).context("could not write to standard output")
    } else {
        write(&mut io::stderr().lock()).context("could not write to standard error")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_has_the_prefix() {
        assert_eq!(prefixed("a | ", "one\n\ntwo\n"), "a | one\na | \na | two\n");
        assert_eq!(prefixed("a | ", "no end"), "a | no end\n");
    }
}
