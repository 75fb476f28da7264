//! The small process that stands between the agent and a command, so that the command and the knowledge of how it ended
//! both outlive the agent. One supervisor runs one command, in a session of its own, and leaves everything it learns in the
//! command's directory. It also enforces the deadline, since the agent may be away when that passes.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::signal::unix::{self, SignalKind};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::clock::Clock;
use crate::document;
use crate::execute::command::directory::{Directory, End, Exit, StopRequest};
use crate::execute::command::process::Group;
use crate::execute::command::spool::{Caps, FRAME_BYTES_MAX, Frame, Origin, SpoolWriter};
use crate::stop::StopReason;

/// How long output is still read when the command has ended but others hold its output open.
const DRAIN: Duration = Duration::from_secs(2);
/// How often the end of a group is looked for while it is being stopped.
const GROUP_POLL: Duration = Duration::from_millis(20);
/// How long to wait before trying again to record the exit on a disk that takes nothing.
const RECORD_AGAIN: Duration = Duration::from_secs(1);
/// How often that is tried: for ten minutes.
const RECORD_ATTEMPTS_MAX: u32 = 600;

/// What the agent tells a supervisor, on its standard input: it may hold secrets, so it is never written to a disk.
#[derive(Serialize, Deserialize)]
pub(crate) struct Launch {
    pub(crate) command: document::Command,
    /// Everything that the command finds in its environment.
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) deadline_seconds: Option<u64>,
    pub(crate) grace: Duration,
    pub(crate) caps: Caps,
}

/// Why a supervisor gave up. The directory then tells the agent how far it came.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SupervisorError {
    #[error("could not start the runtime")]
    Runtime(#[source] io::Error),
    #[error("could not read what to run")]
    Launch(#[source] io::Error),
    #[error("another supervisor has this directory, or it is over")]
    NotWanted,
    #[error("could not keep a record")]
    Record(#[source] io::Error),
}

/// Runs the command that standard input describes, and keeps everything about it in `directory`.
///
/// This is the whole of the hidden mode of the program that the agent starts again for each command; see
/// [`CommandConfig::supervisor`](super::CommandConfig). The exit code only says whether the supervisor did its part.
pub fn main(directory: &Path, clock: &dyn Clock) -> ExitCode {
    // Away from the agent's terminal and process group. It fails only for who leads a group already, which is as good.
    let _ = nix::unistd::setsid();
    match run(&Directory::at(directory), clock) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error is a file in the directory.
            eprintln!("{error}: {:?}", std::error::Error::source(&error));
            ExitCode::FAILURE
        }
    }
}

fn run(directory: &Directory, clock: &dyn Clock) -> Result<(), SupervisorError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(SupervisorError::Runtime)?;
    runtime.block_on(async {
        // Listening comes first: from here on a TERM, meant for others in the same session or service, ends nothing.
        let stop_asked = unix::signal(SignalKind::terminate()).map_err(SupervisorError::Runtime)?;
        let _interrupt = unix::signal(SignalKind::interrupt()).map_err(SupervisorError::Runtime)?;
        let _hangup = unix::signal(SignalKind::hangup()).map_err(SupervisorError::Runtime)?;
        let _lock: File = directory
            .lock()
            .map_err(SupervisorError::Record)?
            .ok_or(SupervisorError::NotWanted)?;
        if directory.has_ended().map_err(SupervisorError::Record)? {
            return Err(SupervisorError::NotWanted);
        }
        let own = Group::led_by(std::process::id());
        directory
            .record_supervisor(&own)
            .map_err(SupervisorError::Record)?;
        let launch: Launch = serde_json::from_reader(io::stdin().lock())
            .map_err(|error| SupervisorError::Launch(error.into()))?;
        let exit = supervise(directory, launch, clock, stop_asked)
            .await
            .map_err(SupervisorError::Record)?;
        record(directory, &exit).await.map_err(SupervisorError::Record)
    })
}

/// A full disk may be emptied, and the exit is worth waiting for: nothing else can tell the outcome.
async fn record(directory: &Directory, exit: &Exit) -> io::Result<()> {
    let mut attempts = 0;
    loop {
        match directory.record_exit(exit) {
            // Without its directory nobody will ever ask.
            Err(_) if attempts < RECORD_ATTEMPTS_MAX && directory.exists()? => attempts += 1,
            result => return result,
        }
        sleep(RECORD_AGAIN).await;
    }
}

async fn supervise(
    directory: &Directory,
    launch: Launch,
    clock: &dyn Clock,
    stop_asked: unix::Signal,
) -> io::Result<Exit> {
    let spool = SpoolWriter::create(&directory.spool(), launch.caps)?;
    if let Some(stop) = directory.stop()? {
        return Ok(Exit {
            stopped: Some(stop.reason),
            ..Exit::without_output(End::NotStarted)
        });
    }
    directory.record_begun()?;
    let mut child = match start(directory, &launch) {
        Ok(child) => child,
        Err(error) => return Ok(Exit::without_output(start_failed(&launch, &error))),
    };
    let group = Group::led_by(child.id().unwrap_or_default());
    // Without this record a later agent cannot stop the command, but it can still learn how it ended.
    let _ = directory.record_started(&group);
    let deadline = launch
        .deadline_seconds
        .map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let pieces = read_output(&mut child, launch.command.stdin);
    let watch = Watch {
        directory,
        clock,
        spool,
        pieces,
        group,
        deadline,
        grace: launch.grace,
        stop_asked,
        stopping: None,
    };
    watch.until_the_end(child).await
}

fn start(directory: &Directory, launch: &Launch) -> io::Result<Child> {
    let working_directory = match &launch.command.working_directory {
        Some(chosen) => chosen.clone(),
        None => {
            fs::create_dir(directory.workspace())?;
            directory.workspace()
        }
    };
    let (program, arguments) = launch
        .command
        .argv
        .split_first()
        .ok_or(io::ErrorKind::InvalidInput)?;
    Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(launch.environment.iter().map(|(name, value)| (name, value)))
        .current_dir(working_directory)
        .process_group(0)
        .stdin(if launch.command.stdin.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
}

fn start_failed(launch: &Launch, error: &io::Error) -> End {
    // Too many processes, files or bytes in use: the same command may start a minute later.
    let hosts_fault = matches!(
        error.kind(),
        io::ErrorKind::WouldBlock
            | io::ErrorKind::OutOfMemory
            | io::ErrorKind::StorageFull
            | io::ErrorKind::ResourceBusy
    );
    let program = launch.command.argv.first().map_or("", String::as_str);
    let missing = launch
        .command
        .working_directory
        .as_ref()
        .filter(|directory| !directory.is_dir());
    let message = match missing {
        Some(directory) => format!("the working directory {} does not exist", directory.display()),
        None => format!("{program} could not be started: {error}"),
    };
    End::StartFailed { message, hosts_fault }
}

/// Pieces of all streams in the order in which they arrive. The channel ends when nobody can write any more.
fn read_output(child: &mut Child, stdin: Option<String>) -> mpsc::Receiver<(Origin, Vec<u8>)> {
    let (sender, pieces) = mpsc::channel(16);
    if let Some(stdout) = child.stdout.take() {
        tokio::spawn(read_stream(Origin::Stdout, stdout, sender.clone()));
    }
    if let Some(stderr) = child.stderr.take() {
        tokio::spawn(read_stream(Origin::Stderr, stderr, sender));
    }
    if let (Some(mut pipe), Some(text)) = (child.stdin.take(), stdin) {
        // A command that does not read all of its input is no error.
        tokio::spawn(async move { pipe.write_all(text.as_bytes()).await.ok() });
    }
    pieces
}

async fn read_stream(
    origin: Origin,
    mut stream: impl AsyncRead + Unpin,
    pieces: mpsc::Sender<(Origin, Vec<u8>)>,
) {
    let mut buffer = vec![0; FRAME_BYTES_MAX];
    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
        if pieces.send((origin, buffer[..length].to_vec())).await.is_err() {
            break;
        }
    }
}

struct Stopping {
    reason: StopReason,
    kill_at: Instant,
    killed: bool,
}

/// The one place that decides what happens to a running command.
struct Watch<'a> {
    directory: &'a Directory,
    clock: &'a dyn Clock,
    spool: SpoolWriter,
    pieces: mpsc::Receiver<(Origin, Vec<u8>)>,
    group: Group,
    deadline: Option<Instant>,
    grace: Duration,
    stop_asked: unix::Signal,
    stopping: Option<Stopping>,
}

impl Watch<'_> {
    async fn until_the_end(mut self, mut child: Child) -> io::Result<Exit> {
        let status = loop {
            let kill_at = self
                .stopping
                .as_ref()
                .filter(|stopping| !stopping.killed)
                .map(|stopping| stopping.kill_at);
            let deadline = self.deadline.filter(|_| self.stopping.is_none());
            tokio::select! {
                // An end that came by itself is not ascribed to a stop, and a stop does not wait for the output.
                biased;
                status = child.wait() => break status?,
                _ = self.stop_asked.recv() => self.stop_as_asked(),
                () = at(deadline) => self.begin_stop(&StopRequest { reason: StopReason::Deadline, grace: self.grace }),
                () = at(kill_at) => self.kill(),
                Some(piece) = self.pieces.recv() => self.keep(piece),
            }
        };
        let stopped = self.stopping.as_ref().map(|stopping| stopping.reason);
        if self.stopping.is_some() {
            self.stop_the_rest().await;
        }
        let output_held_open = timeout(DRAIN, self.drain()).await.is_err();
        let output_omitted_bytes = self.spool.finish(self.clock.now());
        Ok(Exit {
            end: end(status),
            stopped,
            output_held_open,
            output_omitted_bytes,
        })
    }

    fn keep(&mut self, (origin, bytes): (Origin, Vec<u8>)) {
        self.spool.append(Frame {
            origin,
            at: self.clock.now(),
            bytes,
        });
    }

    async fn drain(&mut self) {
        while let Some(piece) = self.pieces.recv().await {
            self.keep(piece);
        }
    }

    /// A TERM without a record comes from somebody else, and the command is left to answer its own.
    fn stop_as_asked(&mut self) {
        if let Ok(Some(stop)) = self.directory.stop() {
            self.begin_stop(&stop);
        }
    }

    fn begin_stop(&mut self, stop: &StopRequest) {
        if self.stopping.is_none() {
            self.stopping = Some(Stopping {
                reason: stop.reason,
                kill_at: Instant::now() + stop.grace,
                killed: false,
            });
            self.group.signal(Signal::SIGTERM);
            // A stopped process acts on no signal but KILL until it is continued.
            self.group.signal(Signal::SIGCONT);
        }
    }

    fn kill(&mut self) {
        self.group.signal(Signal::SIGKILL);
        if let Some(stopping) = &mut self.stopping {
            stopping.killed = true;
        }
    }

    /// The command itself is gone; its children get what is left of the grace.
    async fn stop_the_rest(&mut self) {
        let kill_at = self
            .stopping
            .as_ref()
            .map_or_else(Instant::now, |stopping| stopping.kill_at);
        while self.group.exists() && Instant::now() < kill_at {
            tokio::select! {
                Some(piece) = self.pieces.recv() => self.keep(piece),
                () = sleep(GROUP_POLL) => {}
            }
        }
        self.kill();
    }
}

fn end(status: ExitStatus) -> End {
    match (status.code(), status.signal()) {
        (Some(code), _) => End::Code(code),
        (None, signal) => End::Signal(signal.unwrap_or_default()),
    }
}

/// Completes at the given time, or never.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}
