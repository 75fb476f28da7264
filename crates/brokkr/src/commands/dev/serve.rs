//! From the start of a `brokkr dev` to its end.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use brokkr_agent::{AgentError, Shutdown, ShutdownTrigger};
use brokkr_api::{Cancel, CreateWorkOrder, ListWorkOrders, PakText, TargetingRequest, WorkOrderStatus};
use brokkr_broker::config::{AdminConfig, BrokerConfig, DatabaseConfig, HttpConfig};
use brokkr_broker::{Broker, RunningBroker, StartError};
use brokkr_client::Client;
use brokkr_core::pak::Pak;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use uuid::Uuid;

use super::identity;
use super::place::Place;
use crate::commands::agent;
use crate::commands::submit::{self, Document, idempotency_keys};
use crate::config::{AgentSection, KubernetesSection};
use crate::connection::Endpoint;
use crate::exit::Exit;
use crate::follow::{self, Followed};
use crate::kubernetes;
use crate::references;
use crate::signals::Signals;
use crate::telemetry::Telemetry;

const PORT: u16 = 3000;
/// A command is told within a third of this that it was cancelled.
const LEASE_SECONDS: i64 = 6;
const GRACE_SECONDS: u64 = 5;
/// How long requests in flight may keep the broker at its end.
const STOP_SECONDS: u64 = 2;
/// How long the endings of what has just finished may take to be shown.
const ENDINGS_SHOWN: Duration = Duration::from_secs(3);

/// A broker and its agent, both running.
pub(super) struct Dev {
    place: Place,
    has_cluster: bool,
    broker: RunningBroker,
    port_was_taken: bool,
    client: Client,
    agent_id: Uuid,
    agent: JoinHandle<Result<(), AgentError>>,
    trigger: ShutdownTrigger,
    signals: Signals,
}

impl Dev {
    /// Starts both, and lets other terminals know.
    pub(super) async fn start(
        place: Place,
        port: Option<u16>,
        kubernetes: KubernetesSection,
        telemetry: &Telemetry,
    ) -> anyhow::Result<Dev> {
        let signals = Signals::listen()?;
        let pak = place.admin_pak()?;
        let (broker, port_was_taken) = start_broker(&place, &pak, port, telemetry).await?;
        let pak = PakText::new(pak.reveal());
        let endpoint = Endpoint {
            broker: broker.url(),
            pak: pak.clone(),
            origin: "brokkr dev".to_owned(),
        };
        let client = endpoint.client(None)?;
        let agent_id = identity::prepare(&client, &place).await?;
        let (trigger, shutdown) = Shutdown::new();
        let has_cluster = kubernetes.enabled;
        let agent = start_agent(&place, &broker.url(), kubernetes, shutdown).await?;
        place.announce(&broker.url(), &pak)?;
        Ok(Dev {
            place,
            has_cluster,
            broker,
            port_was_taken,
            client,
            agent_id,
            agent,
            trigger,
            signals,
        })
    }

    /// Tells where things are, and how to talk to them.
    pub(super) fn tell(&self, brief: bool) {
        let url = self.broker.url();
        let taken = if self.port_was_taken {
            format!(" (port {PORT} is taken)")
        } else {
            String::new()
        };
        if brief {
            eprintln!(
                "broker {url}{taken}, agent {} with label {}",
                identity::NAME,
                identity::LABEL
            );
            return;
        }
        let data = if self.place.is_found() {
            ".brokkr/, kept for the next start"
        } else {
            "temporary, removed at the end"
        };
        eprintln!("Broker   {url}{taken}");
        eprintln!("API      {url}/docs");
        eprintln!(
            "Agent    {}, with label {}: it runs commands on this host{}",
            identity::NAME,
            identity::LABEL,
            if self.has_cluster {
                ", manifests and builds on the cluster"
            } else {
                ""
            }
        );
        eprintln!("Data     {data}\n");
        if self.place.is_found() {
            eprintln!("In another terminal, in this directory or below it:");
        } else {
            let file = self.place.admin_pak_file();
            eprintln!("In another terminal:");
            eprintln!("  export BROKKR_BROKER={url} BROKKR_PAK_FILE={}", file.display());
        }
        eprintln!(
            "  brokkr submit -f examples/hello.yaml -l {} --follow",
            identity::LABEL
        );
        eprintln!("  brokkr get orders --all\n");
        eprintln!("Ctrl-C stops it.\n");
    }

    /// Runs the orders, serves, and stops. The exit code is that of the orders.
    pub(super) async fn run(mut self, documents: &[Document], leave: bool) -> anyhow::Result<Exit> {
        let outcome = self.serve(documents, leave).await;
        self.place.retract();
        let stopped = stop_broker(self.broker, &mut self.signals).await;
        let exit = outcome?;
        stopped?;
        Ok(exit)
    }

    async fn serve(&mut self, documents: &[Document], leave: bool) -> anyhow::Result<Exit> {
        let orders = submit_all(&self.client, self.agent_id, documents).await?;
        let mut following = Box::pin(follow::to_the_end(&self.client, &orders));
        let mut exit = None;
        let mut told_to_stop = false;
        while !(told_to_stop || leave && exit.is_some()) {
            tokio::select! {
                ended = &mut following, if exit.is_none() && !orders.is_empty() => exit = Some(ended),
                () = self.signals.next() => told_to_stop = true,
                ended = &mut self.agent => return Err(agent_ended(ended)),
                () = self.broker.ended() => return Err(anyhow!("the broker ended by itself")),
            }
        }
        if told_to_stop && exit.is_none() && !orders.is_empty() {
            eprintln!("\nRunning commands may finish; Ctrl-C again stops them.");
        }
        // Nobody would ever adopt what an agent leaves in the cluster whose state is thrown away.
        let forgets = self.has_cluster && !self.place.is_found();
        let cancelling = forgets.then_some(&self.client);
        let drain = drain(&mut self.agent, &self.trigger, &mut self.signals, cancelling);
        tokio::pin!(drain);
        // The output of what still runs goes on being shown.
        while exit.is_none() && !orders.is_empty() {
            tokio::select! {
                ended = &mut following => exit = Some(ended),
                drained = &mut drain => {
                    drained?;
                    exit = timeout(ENDINGS_SHOWN, &mut following).await.ok();
                    return Ok(exit.unwrap_or(Exit::Interrupted));
                }
            }
        }
        drain.await?;
        Ok(exit.unwrap_or(Exit::Succeeded))
    }
}

async fn start_broker(
    place: &Place,
    pak: &Pak,
    port: Option<u16>,
    telemetry: &Telemetry,
) -> anyhow::Result<(RunningBroker, bool)> {
    let config = |port| BrokerConfig {
        http: HttpConfig {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            stop_seconds_max: STOP_SECONDS,
            ..HttpConfig::default()
        },
        database: DatabaseConfig {
            url: format!("sqlite:{}", place.file("brokkr.db").display()),
            ..DatabaseConfig::default()
        },
        admin: AdminConfig {
            pak_short: Some(pak.short().to_string()),
            pak_hash: Some(pak.hash().to_hex()),
            ..AdminConfig::default()
        },
        ..BrokerConfig::default()
    };
    let started = Broker::start(config(port.unwrap_or(PORT)), telemetry.surroundings()).await;
    match (started, port) {
        (Err(StartError::Listen { .. }), None) => {
            let broker = Broker::start(config(0), telemetry.surroundings()).await;
            Ok((broker.context("the broker did not start")?, true))
        }
        (started, _) => Ok((started.context("the broker did not start")?, false)),
    }
}

async fn start_agent(
    place: &Place,
    broker: &str,
    kubernetes: KubernetesSection,
    shutdown: Shutdown,
) -> anyhow::Result<JoinHandle<Result<(), AgentError>>> {
    let section = AgentSection {
        broker: Some(broker.to_owned()),
        pak_file: Some(place.agent_pak_file()),
        state_dir: Some(place.file("agent")),
        allow_commands: true,
        lease_seconds: LEASE_SECONDS,
        grace_seconds: GRACE_SECONDS,
        kubernetes,
        ..AgentSection::default()
    };
    let agent = kubernetes::agent(&section, section.config(agent::client(&section)?)?).await?;
    Ok(tokio::spawn(agent.run(shutdown)))
}

async fn submit_all(client: &Client, agent: Uuid, documents: &[Document]) -> anyhow::Result<Vec<Followed>> {
    let mut orders = Vec::new();
    let keys = idempotency_keys(None, documents.len(), references::now());
    for (document, key) in documents.iter().zip(keys) {
        let targeting = TargetingRequest {
            agent_ids: Some(vec![agent]),
            ..TargetingRequest::default()
        };
        let request = CreateWorkOrder {
            work_type: document.work_type.clone(),
            yaml_content: document.yaml.clone(),
            targeting: Some(targeting),
            ..CreateWorkOrder::default()
        };
        let order = submit::create_one(client, &request, &key).await;
        let order = order.with_context(|| format!("could not submit {}", document.file))?;
        eprintln!("order/{} submitted: {}", order.id, document.file);
        orders.push((order.id, document.file.clone()));
    }
    Ok(follow::named(orders.into_iter()))
}

/// Lets running work finish, and stops it when a second signal comes: by cancelling its orders where `cancelling` says so.
async fn drain(
    agent: &mut JoinHandle<Result<(), AgentError>>,
    trigger: &ShutdownTrigger,
    signals: &mut Signals,
    mut cancelling: Option<&Client>,
) -> anyhow::Result<()> {
    trigger.escalate();
    loop {
        tokio::select! {
            ended = &mut *agent => return ended.context("the agent panicked")?.context("the agent failed"),
            () = signals.next() => match cancelling.take() {
                Some(client) => {
                    eprintln!("\nStopping what runs on the cluster; Ctrl-C again leaves it there.");
                    cancel_all(client).await?;
                }
                None => trigger.escalate(),
            }
        }
    }
}

async fn cancel_all(client: &Client) -> anyhow::Result<()> {
    let held = ListWorkOrders {
        status: Some(WorkOrderStatus::Claimed),
        ..ListWorkOrders::default()
    };
    let why = Cancel {
        reason: Some("brokkr dev was stopped".to_owned()),
    };
    let orders = client.work_orders(&held).await?.items;
    for order in orders {
        // One that has ended meanwhile needs no cancelling.
        let _ = client.cancel_work_order(order.id, &why).await;
    }
    Ok(())
}

fn agent_ended(ended: Result<Result<(), AgentError>, tokio::task::JoinError>) -> anyhow::Error {
    match ended {
        Ok(Ok(())) => anyhow!("the agent ended by itself"),
        Ok(Err(error)) => anyhow::Error::new(error).context("the agent failed"),
        Err(panic) => anyhow::Error::new(panic).context("the agent panicked"),
    }
}

/// Whoever is impatient may leave at once: nothing that was accepted is lost.
async fn stop_broker(broker: RunningBroker, signals: &mut Signals) -> anyhow::Result<()> {
    tokio::select! {
        () = broker.stop() => Ok(()),
        () = signals.next() => Err(anyhow!("interrupted while stopping")),
    }
}
