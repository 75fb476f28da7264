//! A directory, and the processes of the binary that run in it.

mod disk;
mod process;
mod services;

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, sleep};

pub(crate) use disk::{Disk, alone_with_mounts};
pub(crate) use process::{Finished, Process};
pub(crate) use services::{AgentProcess, BrokerProcess, Database};

/// Longer than anything here takes on a slow and busy host; only a test that fails waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);
const LOOK: Duration = Duration::from_millis(20);

/// A directory that is removed at the end, which is also the home of all processes in it.
pub(crate) struct World {
    directory: tempfile::TempDir,
}

impl World {
    pub(crate) fn new() -> World {
        World {
            directory: tempfile::tempdir().expect("a temporary directory"),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn root(&self) -> &Path {
        self.directory.path()
    }

    /// Writes a file and answers its path.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        std::fs::write(&path, text).expect("the directory can be written");
        path.display().to_string()
    }

    /// Brokers that start here have a key for webhooks, tell receivers on the loopback interface, and wait two seconds for them.
    pub(crate) fn allow_webhooks_here(&self) {
        self.file("webhooks.key", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n");
        self.file(
            "brokkr.toml",
            "[webhooks]\nkey_file = \"webhooks.key\"\nallow_http = true\nallow_private_addresses = true\n\
             timeout_seconds = 2\n",
        );
    }

    /// A file with a command that a shell runs.
    pub(crate) fn command(&self, name: &str, script: &str) -> String {
        let indented: String = script.lines().map(|line| format!("    {line}\n")).collect();
        self.file(
            name,
            &format!("apiVersion: brokkr.io/v1\nkind: Command\nspec:\n  shell: |\n{indented}"),
        )
    }

    /// Starts the binary here.
    pub(crate) fn start(&self, args: &[&str]) -> Process {
        Process::start(self.root(), args, &[])
    }

    /// Runs the binary here to its end.
    pub(crate) async fn run(&self, args: &[&str]) -> Finished {
        self.start(args).finish().await
    }

    /// The same, with variables.
    pub(crate) async fn run_with(&self, variables: &[(&str, &str)], args: &[&str]) -> Finished {
        Process::start(self.root(), args, variables).finish().await
    }

    /// The lines of a file that commands write.
    pub(crate) fn lines(&self, name: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.path(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

/// Looks again and again until there is an answer.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain: {what}");
        sleep(LOOK).await;
    }
}

/// An example that the repository ships.
pub(crate) fn example(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../examples")
        .join(name);
    path.canonicalize()
        .expect("the example exists")
        .display()
        .to_string()
}
