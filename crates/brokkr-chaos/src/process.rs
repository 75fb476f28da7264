//! One process of the binary, which writes to a log of its own.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How a process is started, again and again.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    pub(crate) name: String,
    pub(crate) program: PathBuf,
    /// Where it runs, and where its log is.
    pub(crate) directory: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) variables: Vec<(&'static str, String)>,
}

impl Launch {
    pub(crate) fn log(&self) -> PathBuf {
        self.directory.join(format!("{}.log", self.name))
    }
}

/// A running process. It is killed with this value.
#[derive(Debug)]
pub(crate) struct Process(Child);

impl Process {
    /// Starts it in a process group of its own, so that Ctrl-C at a terminal reaches only the campaign, which ends the others.
    pub(crate) fn start(launch: &Launch) -> io::Result<Process> {
        let log = appending(&launch.log())?;
        let child = Command::new(&launch.program)
            .args(&launch.arguments)
            .current_dir(&launch.directory)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &launch.directory)
            .envs(launch.variables.iter().map(|(name, value)| (name, value)))
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        Ok(Process(child))
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().ok().flatten()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.0.id()).unwrap_or_default();
        // It fails when the process has just ended by itself, which is noticed elsewhere.
        let _ = kill(Pid::from_raw(id), signal);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when it has ended and was waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn appending(path: &Path) -> io::Result<File> {
    File::options().create(true).append(true).open(path)
}
