//! A receiver that is a process of its own and verifies with another implementation of Standard Webhooks than the broker's.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde::Deserialize;
use serde_json::Value;

use crate::world::{World, until};

/// What it was told.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Told {
    pub(crate) path: String,
    pub(crate) id: String,
    /// For each of its secrets, whether the delivery is signed by it.
    pub(crate) verified: Vec<bool>,
    /// Whether another body passes for signed.
    pub(crate) forged: bool,
    /// What it did about it.
    pub(crate) mode: String,
    pub(crate) body: Value,
}

impl Told {
    pub(crate) fn event(&self) -> &str {
        self.body["type"].as_str().expect("deliveries have a type")
    }
}

/// The receiver, which is there or not.
pub(crate) struct Receiver {
    port: u16,
    directory: PathBuf,
    child: Option<Child>,
}

impl Receiver {
    /// One that is not there yet.
    pub(crate) fn away(world: &World) -> Receiver {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let directory = world.path("receiver");
        std::fs::create_dir(&directory).expect("a directory");
        Receiver {
            port: listener.local_addr().expect("it has an address").port(),
            directory,
            child: None,
        }
    }

    pub(crate) async fn start(&mut self) {
        let script =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/integration/standard_webhooks/receiver.py");
        let child = Command::new(python())
            .arg(script)
            .arg(self.port.to_string())
            .arg(&self.directory)
            .stdin(Stdio::null())
            .spawn();
        self.child = Some(child.expect("python starts"));
        until("the receiver", async || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).ok()
        })
        .await;
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    /// A status, or `hang`.
    pub(crate) fn answers(&self, mode: &str) {
        self.write("mode", mode);
    }

    /// By which it verifies from now on.
    pub(crate) fn knows(&self, secrets: &[&str]) {
        self.write("secrets", &secrets.join("\n"));
    }

    pub(crate) fn told(&self) -> Vec<Told> {
        let text = std::fs::read_to_string(self.directory.join("told")).unwrap_or_default();
        // The last line may be on its way.
        text.lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    fn write(&self, name: &str, text: &str) {
        let whole = self.directory.join(format!("{name}.new"));
        std::fs::write(&whole, text).expect("the directory can be written");
        std::fs::rename(&whole, self.directory.join(name)).expect("the directory can be written");
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Both fail only when it has ended and was waited for.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn python() -> PathBuf {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/standardwebhooks/bin/python");
    assert!(
        python.exists(),
        "{} is not there, and with it the library standardwebhooks: `cargo xtask test` brings it",
        python.display()
    );
    python
}
