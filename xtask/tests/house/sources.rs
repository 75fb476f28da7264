//! The project's files, and Rust sources without what only looks like code.

use std::fs;
use std::path::{Path, PathBuf};

/// Directories that hold nothing of ours.
const FOREIGN: [&str; 6] = [
    ".git",
    ".brokkr",
    "target",
    "node_modules",
    "__pycache__",
    ".venv",
];

/// A text file of the project.
pub(crate) struct Source {
    /// From the root of the project, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// The numbered lines of `text`, which has as many lines as the file, for which `offends` holds.
    pub(crate) fn offences(&self, text: &str, offends: impl Fn(&str) -> bool) -> Vec<String> {
        let lines = text.lines().enumerate().filter(|(_, line)| offends(line));
        lines
            .map(|(index, line)| format!("{}:{}: {}", self.path, index + 1, line.trim()))
            .collect()
    }
}

pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("xtask lies in the project").to_path_buf()
}

/// All text files whose path from the root begins with `prefix`.
pub(crate) fn under(prefix: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    collect(&root(), &mut sources);
    sources.retain(|source| source.path.starts_with(prefix));
    sources.sort_by(|one, other| one.path.cmp(&other.path));
    sources
}

pub(crate) fn rust_under(prefix: &str) -> Vec<Source> {
    let mut sources = under(prefix);
    sources.retain(Source::is_rust);
    sources
}

fn collect(directory: &Path, sources: &mut Vec<Source>) {
    for entry in fs::read_dir(directory)
        .expect("a directory of the project can be listed")
        .flatten()
    {
        let path = entry.path();
        let kind = entry.file_type().expect("a file of the project can be looked at");
        if kind.is_dir() && !FOREIGN.iter().any(|name| path.ends_with(name)) {
            collect(&path, sources);
        } else if let Some(text) = kind.is_file().then(|| fs::read_to_string(&path).ok()).flatten() {
            let path = path.strip_prefix(root()).expect("the file lies in the project");
            sources.push(Source {
                path: path.to_string_lossy().into_owned(),
                text,
            });
        }
    }
}

/// The source with comments, strings and characters blanked out, on the same lines.
pub(crate) fn code(text: &str) -> String {
    Blanker::new(text).blank(true)
}

/// The source with comments blanked out, on the same lines.
pub(crate) fn code_and_strings(text: &str) -> String {
    Blanker::new(text).blank(false)
}

/// Whether `line` has `word` as a whole identifier.
pub(crate) fn has_word(line: &str, word: &str) -> bool {
    words(line).any(|found| found == word)
}

pub(crate) fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
        .filter(|word| !word.is_empty())
}

struct Blanker<'a> {
    rest: &'a str,
    out: String,
}

impl<'a> Blanker<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            rest: text,
            out: String::with_capacity(text.len()),
        }
    }

    fn blank(mut self, strings: bool) -> String {
        while let Some(first) = self.rest.chars().next() {
            if let Some(length) = comment(self.rest) {
                self.take(length, true);
            } else if let Some(length) = string(self.rest, self.out.chars().next_back()) {
                self.take(length, strings);
            } else {
                self.take(first.len_utf8(), false);
            }
        }
        self.out
    }

    fn take(&mut self, length: usize, blank: bool) {
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        let shown = |letter: char| if blank && letter != '\n' { ' ' } else { letter };
        self.out.extend(taken.chars().map(shown));
    }
}

/// The length of the comment that `text` begins with.
fn comment(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    let body = text.strip_prefix("/*")?;
    Some(body.find("*/").map_or(text.len(), |end| end + 4))
}

/// The length of the string or character that `text` begins with, unless `before` shows that it is the end of a word.
fn string(text: &str, before: Option<char>) -> Option<usize> {
    if before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_') {
        return None;
    }
    let unprefixed = text.trim_start_matches(['b', 'c']);
    let prefix = text.len() - unprefixed.len();
    if let Some(raw) = unprefixed.strip_prefix('r') {
        let fence = raw.len() - raw.trim_start_matches('#').len();
        let body = raw[fence..].strip_prefix('"')?;
        let end = format!("\"{}", "#".repeat(fence));
        let length = body.find(&end)? + end.len();
        return Some(prefix + 1 + fence + 1 + length);
    }
    match unprefixed.chars().next()? {
        '"' => quoted(&unprefixed[1..], '"').map(|length| prefix + 1 + length),
        '\'' => character(&unprefixed[1..]).map(|length| prefix + 1 + length),
        _ => None,
    }
}

/// A character ends after one letter or one escape; anything else that begins with a quote is a lifetime.
fn character(text: &str) -> Option<usize> {
    let mut letters = text.char_indices();
    let (_, first) = letters.next()?;
    if first == '\\' {
        return quoted(text, '\'');
    }
    letters
        .next()
        .filter(|(_, second)| *second == '\'')
        .map(|(index, _)| index + 1)
}

fn quoted(text: &str, end: char) -> Option<usize> {
    let mut escaped = false;
    for (index, letter) in text.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            letter if letter == end => return Some(index + 1),
            _ => {}
        }
    }
    None
}

#[test]
fn comments_strings_and_characters_are_no_code() {
    let text = "let a = \"x // \\\" y\"; // todo\nlet b: &'static str = r#\"now()\"#; /* c */ let d = ('\\'', 'e', b'f');";
    let blanked = code(text);
    assert_eq!(blanked.lines().count(), 2);
    let squeezed = blanked.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(squeezed, "let a = ; let b: &'static str = ; let d = ( , , );");
    assert!(code_and_strings(text).contains("r#\"now()\"#"));
}
