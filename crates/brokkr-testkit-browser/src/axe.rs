//! axe-core, which finds what a page has against people who use a keyboard or a screen reader.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

use crate::browser::Browser;

/// Another version may find other things.
const VERSION: &str = "4.14.1";

/// Runs the rules of WCAG 2.2 AA and the best practices, and answers what weighs much.
const RUN: &str = "
const done = arguments[arguments.length - 1];
axe.run(document, { resultTypes: ['violations'] }).then(
    (results) => done(results.violations
        .filter((violation) => violation.impact === 'serious' || violation.impact === 'critical')
        .map((violation) => ({
            rule: violation.id,
            help: violation.help,
            places: violation.nodes.slice(0, 5).map((node) => node.html.slice(0, 300) + ' ' + (node.failureSummary || '')),
        }))),
    (error) => done(String(error)));
";

/// The program text of axe-core.
#[derive(Debug, Clone, Copy)]
pub struct Axe(&'static str);

/// A rule that a page breaks, of axe-core's impact serious or critical.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The name of the rule.
    pub rule: String,
    /// What the rule asks for.
    pub help: String,
    /// The first elements that break it, at most five.
    pub places: Vec<String>,
}

/// axe-core could not be had.
#[derive(Debug, thiserror::Error)]
#[error(
    "there is no axe-core {VERSION} in {directory} and npm could not bring it ({reason}); where there is a network: \
     npm install --prefix {directory} axe-core@{VERSION}"
)]
pub struct AxeMissing {
    directory: String,
    reason: String,
}

impl Axe {
    /// Reads axe-core from `target/axe-core`, where npm puts it when it is not there.
    pub fn get() -> Result<Axe, AxeMissing> {
        static TEXT: OnceLock<Result<String, String>> = OnceLock::new();
        let directory = directory();
        let text = TEXT.get_or_init(|| installed(&directory).map_err(|error| error.to_string()));
        match text {
            Ok(text) => Ok(Axe(text)),
            Err(reason) => Err(AxeMissing {
                directory: directory.display().to_string(),
                reason: reason.clone(),
            }),
        }
    }
}

impl Browser {
    /// What axe-core finds on the page as it is, serious and critical only.
    pub async fn findings(&self, axe: Axe) -> Vec<Finding> {
        self.script(axe.0).await;
        let answer = self.client().execute_async(RUN, Vec::new()).await;
        let answer = answer.unwrap_or_else(|error| panic!("axe-core did not run: {error}"));
        let Value::Array(found) = answer else {
            panic!("axe-core failed: {answer}")
        };
        found.iter().map(finding).collect()
    }
}

fn finding(found: &Value) -> Finding {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Finding {
        rule: text(&found["rule"]),
        help: text(&found["help"]),
        places: found["places"]
            .as_array()
            .into_iter()
            .flatten()
            .map(text)
            .collect(),
    }
}

fn installed(directory: &Path) -> io::Result<String> {
    let module = directory.join("node_modules/axe-core");
    if version_of(&module).as_deref() != Some(VERSION) {
        install(directory)?;
    }
    std::fs::read_to_string(module.join("axe.min.js"))
}

fn version_of(module: &Path) -> Option<String> {
    let text = std::fs::read(module.join("package.json")).ok()?;
    let package: Value = serde_json::from_slice(&text).ok()?;
    Some(package["version"].as_str()?.to_owned())
}

fn install(directory: &Path) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    let output = Command::new("npm")
        .args([
            "install",
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
            "--no-save",
        ])
        .args(["--fetch-timeout=60000", "--fetch-retries=1", "--prefix"])
        .arg(directory)
        .arg(format!("axe-core@{VERSION}"))
        .stdin(Stdio::null())
        .output()?;
    match output.status.success() {
        true => Ok(()),
        false => Err(io::Error::other(
            String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        )),
    }
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/axe-core")
}
