//! Containers as local processes: each is a process group of its own, whose output comes through one pipe.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// How long to wait for the pipe's end after the process's: only who escaped its group can hold the pipe open.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// What to run, completely: nothing but PATH comes from the host's environment.
#[derive(Debug)]
pub(super) struct Invocation {
    pub(super) words: Vec<String>,
    pub(super) environment: Vec<(String, String)>,
    pub(super) directory: PathBuf,
}

/// All processes of the kubelet, so that none outlives it. All clones are one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Processes(Arc<Mutex<Table>>);

#[derive(Debug, Default)]
struct Table {
    closed: bool,
    groups: HashMap<Key, Arc<Group>>,
}

/// The pod's uid, and the container's name.
type Key = (String, String);

#[derive(Debug)]
struct Group {
    id: Pid,
    out_of_memory: AtomicBool,
}

impl Group {
    /// A group that is gone already needs no signal.
    fn signal(&self, signal: Signal) {
        let _ = killpg(self.id, signal);
    }
}

impl Processes {
    /// Starts a container's process.
    pub(super) fn start(&self, pod_uid: &str, container: &str, run: &Invocation) -> io::Result<Process> {
        let mut table = self.lock();
        if table.closed {
            return Err(io::Error::other("the kubelet has ended"));
        }
        let (output, child) = spawn(run)?;
        let id = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .map(Pid::from_raw);
        let group = Arc::new(Group {
            id: id.ok_or_else(|| io::Error::other("the process has no id"))?,
            out_of_memory: AtomicBool::new(false),
        });
        let key = (pod_uid.to_owned(), container.to_owned());
        table.groups.insert(key.clone(), Arc::clone(&group));
        Ok(Process {
            child,
            output,
            entry: Entry {
                processes: self.clone(),
                key,
                group,
            },
        })
    }

    /// Kills a container as the kernel does when memory runs out. False when it does not run.
    pub(crate) fn kill_out_of_memory(&self, pod_uid: &str, container: &str) -> bool {
        let table = self.lock();
        let group = table.groups.get(&(pod_uid.to_owned(), container.to_owned()));
        if let Some(group) = group {
            group.out_of_memory.store(true, Ordering::SeqCst);
            group.signal(Signal::SIGKILL);
        }
        group.is_some()
    }

    /// Kills every process, and starts none any more.
    pub(crate) fn close(&self) {
        let mut table = self.lock();
        table.closed = true;
        for (_, group) in table.groups.drain() {
            group.signal(Signal::SIGKILL);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn spawn(run: &Invocation) -> io::Result<(pipe::Receiver, Child)> {
    let (program, arguments) = run.words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    // One pipe for both streams keeps their order.
    let (reader, writer) = io::pipe()?;
    let child = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .envs(run.environment.iter().map(|(name, value)| (name, value)))
        .current_dir(&run.directory)
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    Ok((pipe::Receiver::from_owned_fd(OwnedFd::from(reader))?, child))
}

/// A running process. Its group is killed when this is dropped.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    output: pipe::Receiver,
    entry: Entry,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Exit {
    /// 128 + the signal's number when a signal ended it.
    pub(super) code: i32,
    pub(super) out_of_memory: bool,
}

/// Sends signals to a process that something else waits for.
#[derive(Debug, Clone)]
pub(super) struct Signals(Arc<Group>);

impl Signals {
    /// Asks the process to end.
    pub(super) fn terminate(&self) {
        self.0.signal(Signal::SIGTERM);
    }

    pub(super) fn kill(&self) {
        self.0.signal(Signal::SIGKILL);
    }
}

impl Process {
    pub(super) fn signals(&self) -> Signals {
        Signals(Arc::clone(&self.entry.group))
    }

    /// Hands everything the process writes to `write`, and returns once it has ended. What it started ends with it, as
    /// everything in a container ends with its first process.
    pub(super) async fn wait(mut self, mut write: impl FnMut(&[u8])) -> io::Result<Exit> {
        let mut buffer = vec![0; 64 * 1024];
        let status = loop {
            tokio::select! {
                biased;
                read = self.output.read(&mut buffer) => match read? {
                    0 => break self.child.wait().await?,
                    length => write(&buffer[..length]),
                },
                status = self.child.wait() => break status?,
            }
        };
        self.entry.group.signal(Signal::SIGKILL);
        while let Ok(Ok(length @ 1..)) = timeout(LAST_WORDS, self.output.read(&mut buffer)).await {
            write(&buffer[..length]);
        }
        Ok(Exit {
            code: status
                .code()
                .or(status.signal().map(|signal| 128 + signal))
                .unwrap_or(255),
            out_of_memory: self.entry.group.out_of_memory.load(Ordering::SeqCst),
        })
    }
}

#[derive(Debug)]
struct Entry {
    processes: Processes,
    key: Key,
    group: Arc<Group>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.group.signal(Signal::SIGKILL);
        let mut table = self.processes.lock();
        if table
            .groups
            .get(&self.key)
            .is_some_and(|group| Arc::ptr_eq(group, &self.group))
        {
            table.groups.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Invocation {
        Invocation {
            words: ["sh", "-c", script].map(String::from).to_vec(),
            environment: vec![("NAME".to_owned(), "value".to_owned())],
            directory: std::env::temp_dir(),
        }
    }

    async fn run(processes: &Processes, script: &str) -> (Exit, String) {
        let process = processes.start("uid", "main", &shell(script)).unwrap();
        let mut output = Vec::new();
        let exit = process
            .wait(|bytes| output.extend_from_slice(bytes))
            .await
            .unwrap();
        (exit, String::from_utf8(output).unwrap())
    }

    #[tokio::test]
    async fn both_streams_come_in_order_and_only_the_given_environment_is_seen() {
        let (exit, output) = run(
            &Processes::default(),
            "echo one; echo two >&2; echo $NAME$HOME; exit 3",
        )
        .await;

        assert_eq!(exit.code, 3);
        assert_eq!(output, "one\ntwo\nvalue\n");
    }

    #[tokio::test]
    async fn what_a_process_left_behind_ends_with_it() {
        let (exit, output) = run(&Processes::default(), "sleep 60 & echo done").await;

        assert_eq!((exit.code, output.as_str()), (0, "done\n"));
    }

    #[tokio::test]
    async fn a_process_that_memory_ran_out_for_says_so() {
        let processes = Processes::default();
        let process = processes.start("uid", "main", &shell("sleep 60")).unwrap();
        assert!(processes.kill_out_of_memory("uid", "main"));

        let exit = process.wait(|_| ()).await.unwrap();

        assert_eq!(
            exit,
            Exit {
                code: 137,
                out_of_memory: true
            }
        );
        assert!(!processes.kill_out_of_memory("uid", "main"));
    }

    #[tokio::test]
    async fn closing_kills_what_runs_and_starts_nothing_more() {
        let processes = Processes::default();
        let process = processes.start("uid", "main", &shell("sleep 60")).unwrap();

        processes.close();

        assert_eq!(process.wait(|_| ()).await.unwrap().code, 137);
        assert!(processes.start("uid", "main", &shell("true")).is_err());
    }
}
