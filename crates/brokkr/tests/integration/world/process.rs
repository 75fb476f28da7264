//! One process of the binary.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::until;

/// A file that may not grow is an error to the process then, as a full disk is, and not a signal that ends it.
const WITHOUT_XFSZ: &str = r#"trap '' XFSZ; exec "$0" "$@""#;

/// A process whose output goes to files. It is killed with this value.
pub(crate) struct Process {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
    name: String,
}

/// What a process left.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Process {
    pub(crate) fn start(directory: &Path, args: &[&str], variables: &[(&str, &str)]) -> Process {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let logs = directory.join("logs");
        fs::create_dir_all(&logs).expect("a directory for logs");
        let (stdout, stderr) = (
            logs.join(format!("{number}.out")),
            logs.join(format!("{number}.err")),
        );
        let child = Command::new("/bin/sh")
            .args(["-c", WITHOUT_XFSZ, env!("CARGO_BIN_EXE_brokkr")])
            .args(args)
            .current_dir(directory)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", directory)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(File::create(&stdout).expect("a file for standard output"))
            .stderr(File::create(&stderr).expect("a file for standard error"))
            .spawn()
            .expect("the binary starts");
        Process {
            child,
            stdout,
            stderr,
            name: args.join(" "),
        }
    }

    pub(crate) fn stdout(&self) -> String {
        fs::read_to_string(&self.stdout).unwrap_or_default()
    }

    pub(crate) fn stderr(&self) -> String {
        fs::read_to_string(&self.stderr).unwrap_or_default()
    }

    /// Waits until `look` finds something in what the process has written so far.
    pub(crate) async fn until_written<T>(
        &mut self,
        what: &str,
        mut look: impl FnMut(&str, &str) -> Option<T>,
    ) -> T {
        until(&format!("{what} of {}", self.name), async || {
            let found = look(&self.stdout(), &self.stderr());
            if found.is_none()
                && let Ok(Some(status)) = self.child.try_wait()
            {
                panic!(
                    "{} ended with {status} without {what}:\n{}\n{}",
                    self.name,
                    self.stdout(),
                    self.stderr()
                );
            }
            found
        })
        .await
    }

    pub(crate) async fn finish(mut self) -> Finished {
        let name = self.name.clone();
        let status = until(&format!("the end of {name}"), async || {
            self.child.try_wait().expect("it can be waited for")
        })
        .await;
        Finished {
            code: status.code(),
            stdout: self.stdout(),
            stderr: self.stderr(),
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).expect("the process is there");
    }

    /// Lets no file of the process, its log included, grow beyond this size, as if the disk were full. `unlimited` ends that.
    pub(crate) fn limit_files(&self, bytes: &str) {
        let limited = Command::new("prlimit")
            .arg(format!("--pid={}", self.child.id()))
            .arg(format!("--fsize={bytes}:unlimited"))
            .status()
            .expect("prlimit starts");
        assert!(limited.success(), "the limit can be set");
    }

    /// Ends it without any warning.
    pub(crate) fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        // Both fail only when it has ended and was waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
        if std::thread::panicking() {
            eprintln!("--- {}\n{}\n{}", self.name, self.stdout(), self.stderr());
        }
    }
}

impl Finished {
    /// The process, if it ended with this code.
    #[track_caller]
    pub(crate) fn with_code(self, code: i32) -> Finished {
        assert_eq!(
            self.code,
            Some(code),
            "stdout:\n{}\nstderr:\n{}",
            self.stdout,
            self.stderr
        );
        self
    }

    /// The order that was submitted, as `-o name` or a status line tells it.
    #[track_caller]
    pub(crate) fn order(&self) -> String {
        let said = [&self.stdout, &self.stderr];
        let found = said
            .iter()
            .flat_map(|text| text.split_whitespace())
            .find_map(|word| word.strip_prefix("order/"));
        found.unwrap_or_else(|| panic!("no order in {self:?}")).to_owned()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }
}
