//! One container's life: its image, its configuration, its process, and its restarts.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::sleep;

use super::environment::Surroundings;
use super::pod::Pod;
use super::process::{Exit, Invocation, Process};
use super::spec::{ContainerSpec, MessagePolicy, RestartPolicy};
use super::status::{Container, State, Terminated};
use crate::logs::LogWriter;

/// Ten seconds at a real kubelet.
const RESTART_DELAY: Duration = Duration::from_millis(50);
const RESTART_DELAY_MAX: Duration = Duration::from_secs(1);
/// Between the first failure to pull an image and the first pause.
const PULL_TAKES: Duration = Duration::from_millis(30);
/// The limits of a kubelet: a message from its file, and one from the log.
const MESSAGE_BYTES_MAX: usize = 4096;
const MESSAGE_OF_LOG_BYTES_MAX: usize = 2048;

/// Which container of a pod.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    Init(usize),
    Main(usize),
}

/// A container on its way within its pod.
pub(super) struct Life<'a> {
    pub(super) pod: &'a Pod,
    pub(super) place: Place,
    pub(super) spec: &'a ContainerSpec,
}

impl Life<'_> {
    /// Runs the container until `policy` does not restart it any more or its pod is stopped. The last exit code;
    /// nothing when it never ran.
    pub(super) async fn run(&self, policy: RestartPolicy) -> Option<i32> {
        let mut delay = RESTART_DELAY;
        loop {
            let code = self.run_once().await?;
            if self.pod.is_stopped() || !policy.restarts_after(code) {
                return Some(code);
            }
            if self.wait_to_restart(delay).await.is_none() {
                self.change(|container| {
                    container.state = container
                        .before
                        .take()
                        .map_or(State::waiting(""), State::Terminated)
                });
                return Some(code);
            }
            delay = RESTART_DELAY_MAX.min(delay * 2);
        }
    }

    async fn wait_to_restart(&self, delay: Duration) -> Option<()> {
        let message = format!("back-off restarting failed container={}", self.spec.name);
        self.event(
            "Warning",
            "BackOff",
            &format!("Back-off restarting failed container {}", self.spec.name),
        );
        self.change(|container| {
            let waiting = State::Waiting {
                reason: "CrashLoopBackOff",
                message,
            };
            if let State::Terminated(end) = std::mem::replace(&mut container.state, waiting) {
                container.before = Some(end);
            }
        });
        self.pod.unless_stopped(sleep(delay)).await?;
        self.change(|container| container.restarts += 1);
        Some(())
    }

    async fn run_once(&self) -> Option<i32> {
        self.pod.unless_stopped(self.pull()).await?;
        let directory = self.pod.directory_of_run(&self.spec.name);
        let message = directory.join("termination-log");
        let invocation = self
            .pod
            .unless_stopped(self.configure(&directory, &message))
            .await?;
        self.event(
            "Normal",
            "Created",
            &format!("Created container: {}", self.spec.name),
        );
        let started_at = self.pod.now();
        let end = match self.start(&invocation, &message) {
            Ok(process) => self.follow(process, started_at, &message).await,
            Err(error) => self.start_failed(&error, started_at),
        };
        let code = end.exit_code;
        self.change(|container| container.state = State::Terminated(end));
        Some(code)
    }

    async fn pull(&self) {
        let (image, controls) = (&self.spec.image, &self.pod.kubelet.controls);
        if !is_valid(image) {
            self.fail(
                "InvalidImageName",
                format!("Failed to apply default image tag \"{image}\": couldn't parse image name"),
            );
            std::future::pending::<()>().await;
        }
        if !controls.has_image(image) {
            self.fail_to_pull().await;
            let mut changes = controls.changes();
            while !controls.has_image(image) && changes.changed().await.is_ok() {}
        }
        self.event(
            "Normal",
            "Pulled",
            &format!("Container image \"{image}\" already present on machine"),
        );
    }

    async fn fail_to_pull(&self) {
        let image = &self.spec.image;
        if self.spec.image_pull_policy.as_deref() == Some("Never") {
            self.fail(
                "ErrImageNeverPull",
                format!("Container image \"{image}\" is not present with pull policy of Never"),
            );
            return;
        }
        let cause = format!("failed to resolve reference \"{image}\": not found");
        self.event("Normal", "Pulling", &format!("Pulling image \"{image}\""));
        self.event(
            "Warning",
            "Failed",
            &format!("Failed to pull image \"{image}\": {cause}"),
        );
        self.fail("ErrImagePull", cause);
        sleep(PULL_TAKES).await;
        let message = format!("Back-off pulling image \"{image}\"");
        self.event("Normal", "BackOff", &message);
        self.fail("ImagePullBackOff", message);
    }

    async fn configure(&self, directory: &Path, message: &Path) -> Invocation {
        let look = || {
            let object = self.pod.object()?;
            let surroundings = Surroundings {
                store: &self.pod.kubelet.store,
                pod: &object,
                namespace: &self.pod.namespace,
            };
            Some(surroundings.invocation(self.spec, directory, message))
        };
        if let Some(Err(error)) = look() {
            self.fail("CreateContainerConfigError", error.0);
        }
        self.pod.kubelet.until(|| look()?.ok()).await
    }

    fn start(&self, invocation: &Invocation, message: &Path) -> io::Result<Process> {
        fs::create_dir_all(&invocation.directory)?;
        fs::write(message, "")?;
        let pod = self.pod;
        pod.kubelet.processes.start(&pod.uid, &self.spec.name, invocation)
    }

    fn start_failed(&self, error: &io::Error, at: DateTime<Utc>) -> Terminated {
        let message = format!("failed to create containerd task: failed to start process: {error}");
        self.event("Warning", "Failed", &format!("Error: {message}"));
        Terminated {
            exit_code: 128,
            reason: "StartError",
            message,
            started_at: DateTime::UNIX_EPOCH,
            finished_at: at,
        }
    }

    async fn follow(&self, process: Process, started_at: DateTime<Utc>, message: &Path) -> Terminated {
        let mut log = self.pod.kubelet.logs.begin(&self.pod.uid, &self.spec.name);
        self.event(
            "Normal",
            "Started",
            &format!("Started container {}", self.spec.name),
        );
        self.change(|container| container.state = State::Running { started_at });
        let mut tail = Vec::new();
        let ended = self.supervise(process, &mut log, &mut tail).await;
        let finished_at = self.pod.now();
        log.finish(finished_at);
        // Without an exit status it is as if the runtime had lost the container.
        let exit = ended.unwrap_or(Exit {
            code: 255,
            out_of_memory: false,
        });
        Terminated {
            exit_code: exit.code,
            reason: match exit {
                Exit {
                    out_of_memory: true, ..
                } => "OOMKilled",
                Exit { code: 0, .. } => "Completed",
                Exit { .. } => "Error",
            },
            message: self.message(message, exit, &tail),
            started_at,
            finished_at,
        }
    }

    async fn supervise(&self, process: Process, log: &mut LogWriter, tail: &mut Vec<u8>) -> io::Result<Exit> {
        let signals = process.signals();
        let mut ended = std::pin::pin!(process.wait(|bytes| {
            log.write(bytes, self.pod.now());
            tail.extend_from_slice(bytes);
            tail.drain(..tail.len().saturating_sub(MESSAGE_OF_LOG_BYTES_MAX));
        }));
        let grace = tokio::select! {
            exit = &mut ended => return exit,
            grace = self.pod.stopped() => grace,
        };
        self.event(
            "Normal",
            "Killing",
            &format!("Stopping container {}", self.spec.name),
        );
        if !grace.is_zero() {
            signals.terminate();
            tokio::select! {
                exit = &mut ended => return exit,
                () = self.pod.grace_passed(grace) => {}
            }
        }
        signals.kill();
        ended.await
    }

    fn message(&self, file: &Path, exit: Exit, tail: &[u8]) -> String {
        let mut written = fs::read(file).unwrap_or_default();
        written.truncate(MESSAGE_BYTES_MAX);
        let falls_back = self.spec.termination_message_policy == MessagePolicy::FallbackToLogsOnError;
        if written.is_empty() && falls_back && exit.code != 0 {
            written = tail.to_vec();
        }
        String::from_utf8_lossy(&written).into_owned()
    }

    fn fail(&self, reason: &'static str, message: String) {
        self.event("Warning", "Failed", &format!("Error: {message}"));
        self.change(|container| container.state = State::Waiting { reason, message });
    }

    fn change(&self, change: impl FnOnce(&mut Container)) {
        self.pod.publish(|board| {
            change(match self.place {
                Place::Init(index) => &mut board.init[index],
                Place::Main(index) => &mut board.main[index],
            });
        });
    }

    fn event(&self, severity: &str, reason: &str, message: &str) {
        let list = match self.place {
            Place::Init(_) => "initContainers",
            Place::Main(_) => "containers",
        };
        let field = format!("spec.{list}{{{}}}", self.spec.name);
        self.pod.event(severity, reason, message, Some(&field));
    }
}

/// By the reference grammar of image names, only far enough to tell a slip: no capitals, no spaces, not empty.
fn is_valid(image: &str) -> bool {
    let repository = image.split('@').next().unwrap_or(image);
    let name = repository.rfind('/').map_or(0, |slash| slash + 1);
    let name = repository[name..].split(':').next().unwrap_or_default();
    !name.is_empty() && !name.contains(|letter: char| letter.is_ascii_uppercase() || letter.is_whitespace())
}

/// Where one run of a container works.
pub(super) fn directory(root: &Path, pod_uid: &str, container: &str, run: u32) -> PathBuf {
    root.join(pod_uid).join(container).join(run.to_string())
}
