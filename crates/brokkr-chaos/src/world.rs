//! Everything that runs: PostgreSQL, brokers, agents, and the links between them.

use std::fs::{self, File};
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use brokkr_client::api::{Agent, CreateAgent, PakText, UpdateAgent};
use brokkr_client::{Client, ClientConfig};
use brokkr_testkit_postgres::{Cluster, Durability};
use futures_util::future::try_join_all;
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};

use crate::campaign::Options;
use crate::link::Link;
use crate::orders::LABEL;
use crate::process::Launch;
use crate::service::Service;
use crate::strays;

/// The shortest lease that there is.
pub(crate) const LEASE_SECONDS: u64 = 5;

/// How long brokers may take to be ready, on a slow and busy host.
const START_LIMIT: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(50);
/// An answer that takes longer is asked for again.
const REQUEST_LIMIT: Duration = Duration::from_secs(8);

/// Everything that runs. It ends, and its files go, with this value.
pub(crate) struct World {
    pub(crate) brokers: Vec<Service>,
    pub(crate) agents: Vec<Service>,
    pub(crate) agent_links: Vec<Link>,
    pub(crate) database_links: Vec<Link>,
    pub(crate) submitter_link: Link,
    pub(crate) cluster: Arc<Mutex<Cluster>>,
    /// Goes through the submitter's link, as an administrator.
    pub(crate) client: Client,
    directory: tempfile::TempDir,
    root: PathBuf,
}

impl World {
    pub(crate) async fn start(options: &Options) -> anyhow::Result<World> {
        let directory = tempfile::Builder::new().prefix("brokkr-chaos-").tempdir()?;
        let root = directory.path().canonicalize()?;
        // What was committed has to survive a crash.
        let cluster =
            tokio::task::spawn_blocking(|| Cluster::start_with(Durability::ServerDefault)).await??;
        let ports = free_addresses(options.brokers)?;
        let database = address_in(cluster.url())?;
        let mut database_links = Vec::new();
        let mut brokers = Vec::new();
        for (number, address) in ports.iter().enumerate() {
            let link = Link::to(vec![database]).await?;
            let url = cluster
                .url()
                .replace(&database.to_string(), &link.address().to_string());
            brokers.push(Service::new(broker(options, &root, number, *address, url)));
            database_links.push(link);
        }
        let submitter_link = Link::to(ports.clone()).await?;
        let client = first_administrator(&brokers, &root, &submitter_link).await?;
        let mut world = World {
            brokers,
            agents: Vec::new(),
            agent_links: Vec::new(),
            database_links,
            submitter_link,
            cluster: Arc::new(Mutex::new(cluster)),
            client,
            directory,
            root,
        };
        world.start_agents(options, &ports).await?;
        Ok(world)
    }

    async fn start_agents(&mut self, options: &Options, brokers: &[SocketAddr]) -> anyhow::Result<()> {
        for broker in self.brokers.iter().skip(1) {
            broker.start().await?;
        }
        for number in 0..options.agents {
            let link = Link::to(brokers.to_vec()).await?;
            let name = format!("agent-{number}");
            create_agent(&self.client, &name, &self.root).await?;
            let service = Service::new(agent(options, &self.root, &name, link.address()));
            service.start().await?;
            self.agents.push(service);
            self.agent_links.push(link);
        }
        Ok(())
    }

    /// Starts whatever has ended by itself. Comes back only when that fails.
    pub(crate) async fn tend(&self) -> anyhow::Result<()> {
        let services = self.brokers.iter().chain(&self.agents);
        try_join_all(services.map(Service::tend)).await.map(drop)
    }

    /// How brokers and agents ended by themselves.
    pub(crate) async fn exits(&self) -> Vec<String> {
        let mut exits = Vec::new();
        for service in self.brokers.iter().chain(&self.agents) {
            exits.extend(service.exits().await);
        }
        exits
    }

    /// The file to which all commands write.
    pub(crate) fn ran(&self) -> PathBuf {
        self.root.join("ran")
    }

    /// Where an agent has its commands.
    pub(crate) fn state_of(&self, agent: usize) -> PathBuf {
        state(&self.root, &format!("agent-{agent}"))
    }

    /// The commands that run now.
    pub(crate) fn supervisors(&self) -> Vec<u32> {
        strays::supervisors(&self.root)
    }

    /// Leaves the files behind, and answers where they are.
    pub(crate) fn keep(&mut self) -> PathBuf {
        self.directory.disable_cleanup(true);
        self.root.clone()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Services end with their values; what they have started does not.
        strays::kill_under(&self.root);
    }
}

async fn first_administrator(brokers: &[Service], root: &Path, link: &Link) -> anyhow::Result<Client> {
    brokers.first().context("there is no broker")?.start().await?;
    let file = root.join("admin.pak");
    let written = async {
        loop {
            match fs::read_to_string(&file) {
                Ok(pak) if pak.ends_with('\n') => return pak,
                _ => sleep(LOOK).await,
            }
        }
    };
    let pak = timeout(START_LIMIT, written)
        .await
        .context("the first broker did not start")?;
    let mut config = ClientConfig::new(format!("http://{}", link.address()).parse()?);
    config.request_timeout = REQUEST_LIMIT;
    Ok(Client::new(config.with_pak(PakText::new(pak.trim())))?)
}

fn broker(options: &Options, root: &Path, number: usize, listen: SocketAddr, database: String) -> Launch {
    let arguments = [
        "broker",
        "--listen",
        &listen.to_string(),
        "--admin-pak-file",
        &root.join("admin.pak").display().to_string(),
    ];
    Launch {
        name: format!("broker-{number}"),
        program: options.program.clone(),
        directory: root.to_owned(),
        arguments: arguments.map(str::to_owned).to_vec(),
        variables: vec![
            ("BROKKR_DATABASE_URL", database),
            // All of them together, also those that a dead broker left, fit into the server's 100.
            ("BROKKR__DATABASE__CONNECTIONS_MAX", "8".to_owned()),
            ("BROKKR__DATABASE__READ_CONNECTIONS_MAX", "4".to_owned()),
        ],
    }
}

fn agent(options: &Options, root: &Path, name: &str, broker: SocketAddr) -> Launch {
    let lease = LEASE_SECONDS.to_string();
    let arguments = [
        "agent",
        "--broker",
        &format!("http://{broker}"),
        "--pak-file",
        &root.join(format!("{name}.pak")).display().to_string(),
        "--state-dir",
        &state(root, name).display().to_string(),
        "--allow-commands",
        "--lease-seconds",
        &lease,
        "--wait-seconds",
        "5",
        "--grace-seconds",
        "2",
    ];
    Launch {
        name: name.to_owned(),
        program: options.program.clone(),
        directory: root.to_owned(),
        arguments: arguments.map(str::to_owned).to_vec(),
        variables: vec![("BROKKR__AGENT__ORPHAN_SECONDS", "8".to_owned())],
    }
}

fn state(root: &Path, name: &str) -> PathBuf {
    root.join(format!("{name}.state"))
}

async fn create_agent(client: &Client, name: &str, root: &Path) -> anyhow::Result<()> {
    let create = CreateAgent {
        name: name.to_owned(),
        cluster_name: LABEL.to_owned(),
        generator_ids: None,
    };
    // Other brokers may still be starting, and a broker that is not there breaks the connection.
    let created = crate::submit::until_answered(async || client.create_agent(&create).await).await?;
    let id = created.agent.id;
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(root.join(format!("{name}.pak")))?;
    writeln!(file, "{}", created.initial_pak.expose())?;
    crate::submit::until_answered(async || client.add_agent_label(id, LABEL).await).await?;
    let activate = UpdateAgent {
        status: Some(Agent::ACTIVE.to_owned()),
        ..UpdateAgent::default()
    };
    crate::submit::until_answered(async || client.update_agent(id, &activate).await).await?;
    Ok(())
}

/// They are free now; a service that finds its own taken ends, and is started again.
fn free_addresses(count: usize) -> anyhow::Result<Vec<SocketAddr>> {
    let listeners: Result<Vec<_>, _> = (0..count)
        .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .collect();
    let addresses: Result<_, _> = listeners?.iter().map(TcpListener::local_addr).collect();
    Ok(addresses?)
}

fn address_in(url: &str) -> anyhow::Result<SocketAddr> {
    let (_, after) = url
        .split_once('@')
        .context("the URL of PostgreSQL names no host")?;
    let (address, _) = after
        .split_once('/')
        .context("the URL of PostgreSQL names no database")?;
    Ok(address.parse()?)
}
