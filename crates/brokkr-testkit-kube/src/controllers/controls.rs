//! What a test holds back or allows.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

/// The switches that tests turn. All clones are one.
#[derive(Debug, Clone)]
pub(crate) struct Controls {
    held: Arc<watch::Sender<Held>>,
    images: Arc<Mutex<Vec<String>>>,
    build_script: Arc<Mutex<BuildScript>>,
}

/// What the runs of image builds come to. Their pods really run the steps; one that fails makes the build fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildScript {
    /// The containers, with what `sh -c` runs in each.
    pub steps: Vec<(String, String)>,
    /// Of the image, as `sha256:` and 64 hexadecimal digits.
    pub digest: String,
    /// Of the image, compressed.
    pub size_bytes: u64,
    /// The full id of the commit that is built.
    pub commit: String,
    /// Reason and message that a failing step gives (`shp-error-reason`, `shp-error-message`).
    pub error: Option<(String, String)>,
}

impl Default for BuildScript {
    /// One step that says `building` and succeeds.
    fn default() -> Self {
        Self {
            steps: vec![("step-build-and-push".to_owned(), "echo building".to_owned())],
            digest: format!("sha256:{}", "1f".repeat(32)),
            size_bytes: 1_989_004,
            commit: "5c".repeat(20),
            error: None,
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Held {
    /// The controllers of Jobs and BuildRuns do nothing.
    pub(crate) jobs: bool,
    /// Containers are not started.
    pub(crate) kubelet: bool,
    /// Pods are neither stopped nor removed.
    pub(crate) deletion: bool,
}

impl Controls {
    /// Nothing is held; `images` exist beside `busybox`.
    pub(crate) fn new(images: Vec<String>) -> Self {
        Self {
            held: Arc::new(watch::Sender::default()),
            images: Arc::new(Mutex::new(images)),
            build_script: Arc::default(),
        }
    }

    pub(crate) fn hold(&self, change: impl FnOnce(&mut Held)) {
        self.held.send_modify(change);
    }

    pub(crate) fn held(&self) -> Held {
        *self.held.borrow()
    }

    pub(crate) fn changes(&self) -> watch::Receiver<Held> {
        self.held.subscribe()
    }

    /// Returns once what `held` looks at is not held.
    pub(crate) async fn released(&self, held: impl Fn(&Held) -> bool) {
        // The sender is this value's own, so the wait cannot fail.
        let _ = self.changes().wait_for(|now| !held(now)).await;
    }

    pub(crate) fn script_builds(&self, script: BuildScript) {
        *self.build_script.lock().unwrap_or_else(PoisonError::into_inner) = script;
    }

    pub(crate) fn build_script(&self) -> BuildScript {
        self.build_script
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn add_image(&self, image: &str) {
        self.images
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(image.to_owned());
        self.held.send_modify(|_| ());
    }

    /// Whether the image can be pulled: `busybox` from anywhere with any tag, or one that was allowed, with or
    /// without its tag.
    pub(crate) fn has_image(&self, image: &str) -> bool {
        let repository = repository(image);
        let images = self.images.lock().unwrap_or_else(PoisonError::into_inner);
        repository.rsplit('/').next() == Some("busybox")
            || images
                .iter()
                .any(|allowed| allowed == image || allowed == repository)
    }
}

/// The image's name without its digest and tag. A colon before the last slash belongs to a port.
fn repository(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or(image);
    let name = image.rfind('/').map_or(0, |slash| slash + 1);
    image[name..]
        .find(':')
        .map_or(image, |colon| &image[..name + colon])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busybox_exists_from_anywhere_and_others_when_they_are_allowed() {
        let controls = Controls::new(vec!["registry.example:5000/tool".to_owned()]);

        assert!(controls.has_image("busybox"));
        assert!(controls.has_image("docker.io/library/busybox:1.36"));
        assert!(controls.has_image("registry.example:5000/tool:v1"));
        assert!(controls.has_image("registry.example:5000/tool@sha256:00"));
        assert!(!controls.has_image("registry.example:5000/other"));
        assert!(!controls.has_image("notbusybox"));
    }
}
