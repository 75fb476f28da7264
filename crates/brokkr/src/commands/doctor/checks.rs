//! What is looked at.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use brokkr_api::Agent;
use brokkr_broker::dal::{Db, migrate};
use brokkr_client::Client;

use super::clock::{SKEW_SECONDS_MAX, skew_seconds};
use super::report::Report;
use crate::commands::migrate::sqlite_path;
use crate::commands::{agent, login};
use crate::config::{AgentSection, Loaded, show};
use crate::connection::ConnectionArgs;
use crate::contexts::Contexts;
use crate::exit::explain;
use crate::references;

/// The database of a broker on this host, if there is one.
pub(super) async fn database(report: &mut Report, loaded: &Loaded) {
    const CHECK: &str = "database";
    let database = &loaded.config.database;
    let shown = show::mask_password(&database.url);
    if let Some(path) = sqlite_path(&database.url).filter(|path| !Path::new(path).exists()) {
        return report.skipped(CHECK, format!("no broker has made {path} here"));
    }
    let db = match Db::connect(&database.url, &database.options()).await {
        Ok(db) => db,
        Err(error) => {
            let error = explain(&anyhow::Error::new(error));
            return report.bad(
                CHECK,
                format!("{shown}: {error}"),
                "check database.url, and that the server runs and lets this user in",
            );
        }
    };
    match migrate::status(&db).await {
        Ok(status) if status.newer().is_some() => {
            report.bad(
                CHECK,
                format!("{shown}: a newer brokkr has used it"),
                "run that brokkr, or restore a backup",
            );
        }
        Ok(status) if status.pending.is_empty() => {
            report.good(CHECK, format!("{shown}, its schema is up to date"))
        }
        Ok(_) => report.bad(
            CHECK,
            format!("{shown}: its schema is not up to date"),
            "run brokkr migrate, or start the broker",
        ),
        Err(error) => {
            let error = explain(&anyhow::Error::new(error));
            report.bad(
                CHECK,
                format!("{shown}: {error}"),
                "check the rights of the database's user",
            );
        }
    }
    db.close().await;
}

/// The agent that is configured on this host, if there is one.
pub(super) async fn agent(report: &mut Report, section: &AgentSection) {
    const CHECK: &str = "agent";
    if section.pak_file.is_none() {
        return report.skipped(CHECK, "no agent is configured (agent.pak_file)");
    }
    let allowed = match (section.allow_commands, &section.work_types) {
        (true, None) => "it may run commands on this host".to_owned(),
        (false, None) => "it may not run commands on this host (agent.allow_commands)".to_owned(),
        (_, Some(types)) => format!(
            "it claims only {}",
            types.iter().cloned().collect::<Vec<_>>().join(", ")
        ),
    };
    let asks_for_commands = section
        .work_types
        .as_ref()
        .is_some_and(|types| types.contains("command"));
    if asks_for_commands && !section.allow_commands {
        report.bad(
            "agent policy",
            "agent.work_types names command, but commands are not allowed",
            "set agent.allow_commands = true, or remove command from agent.work_types",
        );
    } else {
        report.good("agent policy", allowed);
    }
    match section.state_dir() {
        Ok(directory) => writable(report, &directory),
        Err(error) => report.bad("agent state", error.to_string(), "set agent.state_dir"),
    }
    match agent::client(section) {
        Ok(client) => agent_identity(report, &client).await,
        Err(error) => report.bad(CHECK, explain(&error), "set agent.broker and agent.pak_file"),
    }
}

/// Only looks: the directory is made by the agent.
fn writable(report: &mut Report, directory: &Path) {
    let existing = directory.ancestors().find(|ancestor| ancestor.exists());
    let ours = existing.and_then(|path| {
        tempfile::Builder::new()
            .prefix(".brokkr-doctor-")
            .tempfile_in(path)
            .ok()
    });
    match ours {
        Some(_) => report.good("agent state", directory.display().to_string()),
        None => report.bad(
            "agent state",
            format!("{} cannot be written", directory.display()),
            "give its user the right to, or set agent.state_dir",
        ),
    }
}

async fn agent_identity(report: &mut Report, client: &Client) {
    const CHECK: &str = "agent PAK";
    let id = match client.whoami().await {
        Ok(answer) => answer.agent,
        Err(error) if error.status() == Some(401) => {
            return report.bad(
                CHECK,
                "the broker does not know it",
                "brokkr rotate-pak agent NAME --save-pak FILE",
            );
        }
        Err(error) => {
            return report.bad(
                CHECK,
                explain(&error.into()),
                "check agent.broker, and that the broker runs",
            );
        }
    };
    let Some(id) = id else {
        return report.bad(
            CHECK,
            "it is not an agent's",
            "brokkr create agent NAME --save-pak FILE",
        );
    };
    match client.agent(id).await {
        Ok(agent) if agent.status == Agent::ACTIVE => {
            report.good(CHECK, format!("agent {} in {}", agent.name, agent.cluster_name))
        }
        Ok(agent) => report.bad(
            CHECK,
            format!("agent {} is paused and claims nothing", agent.name),
            format!("brokkr resume agent {}", agent.name),
        ),
        Err(error) => report.bad(CHECK, explain(&error.into()), "see the broker's log"),
    }
}

/// The file of contexts.
pub(super) fn contexts(report: &mut Report) {
    const CHECK: &str = "contexts";
    let Ok(path) = Contexts::path(|name| std::env::var(name).ok()) else {
        return report.skipped(CHECK, "there is no home directory");
    };
    let Ok(metadata) = fs::metadata(&path) else {
        return report.skipped(CHECK, "none (brokkr login makes one)");
    };
    if metadata.permissions().mode() & 0o077 != 0 {
        return report.bad(
            CHECK,
            format!("{} can be read by others, and holds PAKs", path.display()),
            format!("chmod 600 {}", path.display()),
        );
    }
    match Contexts::load(&path) {
        Ok(contexts) => {
            let current = contexts.current.as_deref().unwrap_or("none");
            report.good(
                CHECK,
                format!(
                    "{} in {}, current: {current}",
                    contexts.contexts.len(),
                    path.display()
                ),
            );
        }
        Err(error) => report.bad(
            CHECK,
            explain(&error.into()),
            "correct it, or remove it and log in again",
        ),
    }
}

/// The broker that commands talk to.
pub(super) async fn connection(report: &mut Report, connection: &ConnectionArgs) {
    let endpoint = match connection.resolve() {
        Ok(endpoint) => endpoint,
        Err(error) => {
            return report.bad(
                "connection",
                explain(&error).lines().next().unwrap_or_default(),
                "brokkr login --broker URL --pak-file FILE, or brokkr dev",
            );
        }
    };
    let client = match endpoint.client(connection.ca_file.as_deref()) {
        Ok(client) => client,
        Err(error) => {
            return report.bad(
                "connection",
                explain(&error),
                format!("correct {}", endpoint.origin),
            );
        }
    };
    report.good(
        "connection",
        format!("{} (from {})", endpoint.broker, endpoint.origin),
    );
    if broker(report, &client).await {
        credentials(report, &client).await;
    }
}

/// Whether it can be reached at all.
async fn broker(report: &mut Report, client: &Client) -> bool {
    let before = references::now();
    let date = match client.healthz().await {
        Ok(date) => date,
        Err(error) => {
            report.bad(
                "broker",
                explain(&error.into()),
                "check the address, the network and proxies between, and that the broker runs",
            );
            return false;
        }
    };
    let after = references::now();
    match client.readyz().await {
        Ok(()) => report.good("broker", "it is ready"),
        Err(error) => report.bad(
            "broker",
            explain(&error.into()),
            "see the broker's log: its database does not answer, or its clock is not known",
        ),
    }
    match date.as_deref().and_then(|date| skew_seconds(date, before, after)) {
        None => report.skipped("clock", "the broker does not tell its time"),
        Some(skew) if skew.abs() <= SKEW_SECONDS_MAX => report.good("clock", "it agrees with the broker's"),
        Some(skew) => {
            let direction = if 0 < skew { "ahead of" } else { "behind" };
            report.bad(
                "clock",
                format!("this host is {} s {direction} the broker", skew.abs()),
                "synchronise the clocks (NTP) of this host and the broker's",
            );
        }
    }
    true
}

async fn credentials(report: &mut Report, client: &Client) {
    match client.whoami().await {
        Ok(answer) => report.good("credentials", login::role(&answer)),
        Err(error) if error.status() == Some(401) => report.bad(
            "credentials",
            "the broker does not know the PAK",
            "ask an administrator for one (brokkr create pak), then brokkr login",
        ),
        Err(error) => report.bad("credentials", explain(&error.into()), "see the broker's log"),
    }
}
