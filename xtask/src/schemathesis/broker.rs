//! A broker in a process of its own, with an agent's identity and some work.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, ensure};

use crate::steps::root;

/// With a key, webhooks can be created. `fuzz/schemathesis_hooks.py` sees to it that they lead nowhere.
const CONFIGURATION: &str = "[webhooks]\nkey_file = \"webhooks.key\"\n";

/// An agent that nobody runs.
#[derive(Debug)]
pub(super) struct Agent {
    pub(super) id: String,
    pub(super) pak: String,
}

/// Serves until it is dropped, from a directory that is made anew.
#[derive(Debug)]
pub(super) struct Broker {
    process: Child,
    program: PathBuf,
    directory: PathBuf,
    url: String,
    admin_pak: String,
}

impl Broker {
    /// Starts the program that was just built, and waits until it serves.
    pub(super) fn start(directory: &Path) -> anyhow::Result<Self> {
        if directory.exists() {
            fs::remove_dir_all(directory)?;
        }
        fs::create_dir_all(directory)?;
        fs::write(directory.join("webhooks.key"), base64_key()?)?;
        fs::write(directory.join("brokkr.toml"), CONFIGURATION)?;
        let program = std::env::current_exe()?.with_file_name("brokkr");
        let address = free_address()?;
        let log = fs::File::create(directory.join("broker.log"))?;
        let mut command = Command::new(&program);
        command.args(["broker", "--listen", &address, "--database-url"]);
        command.arg(format!("sqlite:{}", directory.join("brokkr.db").display()));
        command.arg("--admin-pak-file").arg(directory.join("admin.pak"));
        let mut process = command
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .with_context(|| format!("could not run {}", program.display()))?;
        // It prints the first administrator's key once it serves.
        let mut line = String::new();
        let printed = process
            .stdout
            .take()
            .context("the broker has no standard output")?;
        BufReader::new(printed).read_line(&mut line)?;
        let broker = Self {
            process,
            program,
            directory: directory.to_path_buf(),
            url: format!("http://{address}"),
            admin_pak: line.trim().to_owned(),
        };
        ensure!(
            !broker.admin_pak.is_empty(),
            "the broker did not start; {} tells why",
            directory.join("broker.log").display()
        );
        Ok(broker)
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn admin_pak(&self) -> &str {
        &self.admin_pak
    }

    /// Creates an agent that may claim.
    pub(super) fn agent(&self) -> anyhow::Result<Agent> {
        let file = self.directory.join("agent.pak");
        let mut create = self.command(&[
            "create",
            "agent",
            "made-up",
            "--cluster",
            "nowhere",
            "--label",
            "local",
        ]);
        create.arg("--save-pak").arg(&file);
        let told = succeed(&mut create)?;
        let id = told.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
        Ok(Agent {
            id: id.context("the new agent has no id")?.0.to_owned(),
            pak: fs::read_to_string(file)?.trim().to_owned(),
        })
    }

    /// Submits examples, for that agent.
    pub(super) fn submit(&self, examples: &[&str]) -> anyhow::Result<()> {
        for example in examples {
            let mut submit = self.command(&["submit", "-l", "local"]);
            submit
                .arg("-f")
                .arg(root().join(format!("examples/{example}.yaml")));
            succeed(&mut submit)?;
        }
        Ok(())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .args(["--broker", &self.url, "--pak-file"]);
        command
            .arg(self.directory.join("admin.pak"))
            .current_dir(&self.directory);
        command
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // Nobody needs what it has, and it may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a command says on its standard error.
fn succeed(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output()?;
    ensure!(
        output.status.success(),
        "{} failed: {}",
        command.get_program().display(),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stderr).into_owned())
}

/// A new key for the secrets of webhooks, as docs/webhooks.md makes one.
fn base64_key() -> anyhow::Result<Vec<u8>> {
    let mut openssl = Command::new("openssl");
    let made = openssl.args(["rand", "-base64", "32"]).output();
    let made = made.context("openssl makes the key for webhooks, and could not be run")?;
    ensure!(made.status.success(), "openssl made no key for webhooks");
    Ok(made.stdout)
}

fn free_address() -> anyhow::Result<String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.to_string())
}
