//! `brokkr webhook`: what webhooks were told, and how.

use std::path::PathBuf;
use std::time::Duration;

use brokkr_api::{
    CreateWebhook, DeliveryStatus, EnableWebhook, ListDeliveries, ReplayDeliveries, RotateSecret, Time,
    UpdateWebhook, WebhookDelivery,
};
use brokkr_client::Client;
use clap::{ArgGroup, Subcommand};
use uuid::Uuid;

use super::create::{hand_over, refuse_existing};
use crate::connection::ConnectionArgs;
use crate::exit::Exit;
use crate::output::{self, OutputArgs, print};
use crate::references::{self, around_nobody};

const EXAMPLES: &str = "\
Examples:
  brokkr create webhook deploy-bot --url https://hooks.example.com/brokkr -e work_order.failed
  brokkr webhook test deploy-bot             send it something, and see what it answers
  brokkr webhook deliveries deploy-bot       what it was told, and how that went
  brokkr webhook replay deploy-bot --since 2h
  brokkr webhook update deploy-bot --url https://hooks.example.com/new
  brokkr webhook rotate-secret deploy-bot";

/// What `replay` sends again.
const WHICH: &str = "which";

/// How long a test may take: a look for what is due, and the receiver's answer.
const TEST_PATIENCE: Duration = Duration::from_secs(30);
const TEST_INTERVAL: Duration = Duration::from_millis(200);

/// Try, inspect and steer webhooks
///
/// They are made, listed and removed by brokkr create webhook, brokkr get webhooks and brokkr delete webhook.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CreateArgs {
    /// Its name, which no other webhook has
    name: String,

    /// Where it is told: https://, at a public address
    #[arg(long)]
    url: String,

    /// A type of events that it is told of, all of a noun (work_order.*), or all (*)
    #[arg(short, long = "event", value_name = "TYPE", required = true)]
    events: Vec<String>,

    /// Only events of this agent: a name, name/cluster or id
    #[arg(long = "agent", value_name = "AGENT")]
    agents: Vec<String>,

    /// Only events with this label
    #[arg(short, long = "label", value_name = "LABEL")]
    labels: Vec<String>,

    /// A file with the value of the header Authorization to be sent
    #[arg(long, value_name = "FILE")]
    auth_header_file: Option<PathBuf>,

    /// Where to write its secret (mode 0600, must not exist); without it the secret is printed
    #[arg(long, value_name = "FILE")]
    save_secret: Option<PathBuf>,

    #[command(flatten)]
    connection: ConnectionArgs,
}

/// What is not given stays as it is.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = true)]
struct Changes {
    /// A new name, which no other webhook has
    #[arg(long)]
    name: Option<String>,

    /// Where it is told from now on, what it has still to hear of included
    #[arg(long)]
    url: Option<String>,

    /// A type of events that it is told of, instead of those so far: one, all of a noun (work_order.*), or all (*)
    #[arg(short, long = "event", value_name = "TYPE")]
    events: Vec<String>,

    /// Only events of this agent, instead of those so far: a name, name/cluster or id
    #[arg(long = "agent", value_name = "AGENT")]
    agents: Vec<String>,

    /// Events of whatever agent
    #[arg(long, conflicts_with = "agents")]
    any_agent: bool,

    /// Only events with this label, instead of those so far
    #[arg(short, long = "label", value_name = "LABEL")]
    labels: Vec<String>,

    /// Events with whatever labels
    #[arg(long, conflicts_with = "labels")]
    any_label: bool,

    /// A file with the value of the header Authorization to be sent
    #[arg(long, value_name = "FILE")]
    auth_header_file: Option<PathBuf>,

    /// Send no header Authorization any more
    #[arg(long, conflicts_with = "auth_header_file")]
    no_auth_header: bool,
}

#[derive(Debug, clap::Args)]
struct OneArgs {
    /// Its name or id
    webhook: String,

    #[command(flatten)]
    connection: ConnectionArgs,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Send it something and wait for its answer
    #[command(after_help = "Examples:\n  brokkr webhook test deploy-bot")]
    Test(OneArgs),
    /// Show what it was told, the latest first
    #[command(
        after_help = "Examples:\n  brokkr webhook deliveries deploy-bot\n  brokkr webhook deliveries deploy-bot --failed -o json"
    )]
    Deliveries {
        /// Only those that were given up
        #[arg(long)]
        failed: bool,
        /// How many at most
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=1000))]
        limit: i64,
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        one: OneArgs,
    },
    /// Send deliveries again that have ended
    #[command(
        after_help = "Examples:\n  brokkr webhook replay deploy-bot --delivery ID\n  brokkr webhook replay deploy-bot --since 2h              what failed\n  brokkr webhook replay deploy-bot --since 2h --delivered  all of it",
        group = ArgGroup::new(WHICH).required(true)
    )]
    Replay {
        /// This delivery
        #[arg(long, value_name = "ID", group = WHICH)]
        delivery: Option<Uuid>,
        /// Those made within this span, such as 2h
        #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration, group = WHICH)]
        since: Option<Duration>,
        /// Also those that were delivered
        #[arg(long, requires = "since")]
        delivered: bool,
        #[command(flatten)]
        one: OneArgs,
    },
    /// Give it a new secret
    #[command(
        after_help = "Examples:\n  brokkr webhook rotate-secret deploy-bot --overlap 24h --save-secret new.secret"
    )]
    RotateSecret {
        /// For how long deliveries are signed with the secret before as well
        #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = humantime::parse_duration)]
        overlap: Duration,
        /// Where to write it (mode 0600, must not exist); without it the secret is printed
        #[arg(long, value_name = "FILE")]
        save_secret: Option<PathBuf>,
        #[command(flatten)]
        one: OneArgs,
    },
    /// Change where it is told, of what, or its name
    #[command(
        after_help = "Examples:\n  brokkr webhook update deploy-bot --url https://hooks.example.com/new\n  brokkr webhook update deploy-bot -e work_order.failed -e work_order.lost --label prod\n  brokkr webhook update deploy-bot --any-label --any-agent"
    )]
    Update {
        #[command(flatten)]
        changes: Changes,
        #[command(flatten)]
        one: OneArgs,
    },
    /// Tell it again of what happens
    #[command(after_help = "Examples:\n  brokkr webhook enable deploy-bot --skip-missed")]
    Enable {
        /// Not of what it missed while it was disabled
        #[arg(long)]
        skip_missed: bool,
        #[command(flatten)]
        one: OneArgs,
    },
    /// Tell it of nothing
    #[command(after_help = "Examples:\n  brokkr webhook disable deploy-bot")]
    Disable(OneArgs),
}

impl OneArgs {
    async fn find(&self) -> anyhow::Result<(Client, brokkr_api::Webhook)> {
        let client = self.connection.client()?;
        let webhook = references::webhook(&client, &self.webhook).await?;
        Ok((client, webhook))
    }
}

pub(super) async fn create(args: CreateArgs) -> anyhow::Result<()> {
    refuse_existing(args.save_secret.as_deref())?;
    let auth_header = match &args.auth_header_file {
        Some(file) => Some(read(file)?),
        None => None,
    };
    let client = args.connection.client()?;
    let agent_ids = ids_of(&client, &args.agents).await?;
    let request = CreateWebhook {
        name: args.name,
        url: args.url,
        event_types: args.events,
        agent_ids,
        labels: args.labels,
        auth_header,
    };
    let created = client.create_webhook(&request).await?;
    eprintln!(
        "webhook/{} created ({})",
        created.webhook.name, created.webhook.id
    );
    hand_over(&created.secret, "secret", args.save_secret.as_deref())
}

async fn ids_of(client: &Client, agents: &[String]) -> anyhow::Result<Vec<Uuid>> {
    let mut ids = Vec::new();
    for agent in agents {
        ids.push(references::agent(client, agent).await?.id);
    }
    Ok(ids)
}

async fn update(one: OneArgs, changes: Changes) -> anyhow::Result<()> {
    let Changes {
        name,
        url,
        events,
        agents,
        any_agent,
        labels,
        any_label,
        auth_header_file,
        no_auth_header,
    } = changes;
    let auth_header = match &auth_header_file {
        Some(file) => Some(read(file)?),
        None => no_auth_header.then(String::new),
    };
    let (client, webhook) = one.find().await?;
    let agent_ids = ids_of(&client, &agents).await?;
    let update = UpdateWebhook {
        name,
        url,
        event_types: (!events.is_empty()).then_some(events),
        agent_ids: (any_agent || !agent_ids.is_empty()).then_some(agent_ids),
        labels: (any_label || !labels.is_empty()).then_some(labels),
        auth_header,
    };
    let changed = client.update_webhook(webhook.id, &update).await?;
    print(&format!("webhook/{} updated\n", changed.name))
}

fn read(file: &PathBuf) -> anyhow::Result<String> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(text.trim_end().to_owned()),
        Err(error) => Err(crate::exit::usage(format!("{}: {error}", file.display()))),
    }
}

pub(crate) async fn run(args: Args) -> anyhow::Result<Exit> {
    match args.act {
        Act::Test(one) => return test(one).await,
        Act::Deliveries {
            one,
            failed,
            limit,
            output,
        } => deliveries(one, failed, limit, output).await?,
        Act::Replay {
            one,
            delivery,
            since,
            delivered,
        } => replay(one, delivery, since, delivered).await?,
        Act::RotateSecret {
            one,
            overlap,
            save_secret,
        } => {
            refuse_existing(save_secret.as_deref())?;
            let (client, webhook) = one.find().await?;
            let rotate = RotateSecret {
                overlap_seconds: Some(i64::try_from(overlap.as_secs()).unwrap_or(i64::MAX)),
            };
            let rotated = client.rotate_webhook_secret(webhook.id, &rotate).await?;
            eprintln!("webhook/{} has a new secret", webhook.name);
            hand_over(&rotated.secret, "secret", save_secret.as_deref())?;
        }
        Act::Update { one, changes } => update(one, changes).await?,
        Act::Enable { one, skip_missed } => {
            let (client, webhook) = one.find().await?;
            client
                .enable_webhook(webhook.id, &EnableWebhook { skip_missed })
                .await?;
            print(&format!("webhook/{} enabled\n", webhook.name))?;
        }
        Act::Disable(one) => {
            let (client, webhook) = one.find().await?;
            client.disable_webhook(webhook.id).await?;
            print(&format!("webhook/{} disabled\n", webhook.name))?;
        }
    }
    Ok(Exit::Succeeded)
}

/// Waits for the first answer to a test: a receiver that is down would be tried for days.
async fn test(one: OneArgs) -> anyhow::Result<Exit> {
    let (client, webhook) = one.find().await?;
    let test = client.test_webhook(webhook.id).await?;
    let answered = async {
        loop {
            let delivery = client.webhook_delivery(webhook.id, test.id).await?;
            if delivery.last_status.is_some() || delivery.last_error.is_some() {
                return anyhow::Ok(delivery);
            }
            tokio::time::sleep(TEST_INTERVAL).await;
        }
    };
    match tokio::time::timeout(TEST_PATIENCE, answered).await {
        Ok(delivery) => tell(&webhook.name, &delivery?),
        Err(_) => {
            eprintln!("webhook/{} was not told yet: no broker sends", webhook.name);
            Ok(Exit::Failed)
        }
    }
}

fn tell(name: &str, delivery: &WebhookDelivery) -> anyhow::Result<Exit> {
    if delivery.status == DeliveryStatus::Delivered {
        let status = delivery.last_status.unwrap_or_default();
        print(&format!("webhook/{name} answered {status}\n"))?;
        return Ok(Exit::Succeeded);
    }
    let error = delivery.last_error.as_deref().unwrap_or("did not answer");
    eprintln!("webhook/{name}: {error}");
    Ok(Exit::Failed)
}

async fn deliveries(one: OneArgs, failed: bool, limit: i64, output: OutputArgs) -> anyhow::Result<()> {
    let (client, webhook) = one.find().await?;
    let query = ListDeliveries {
        status: failed.then_some(DeliveryStatus::Failed),
        limit: Some(limit),
        cursor: None,
    };
    let found = client.webhook_deliveries(webhook.id, &query).await?.items;
    output::list(
        output.output,
        &found,
        &around_nobody(),
        "It was told nothing yet. brokkr webhook test tries it.",
    )
}

async fn replay(
    one: OneArgs,
    delivery: Option<Uuid>,
    since: Option<Duration>,
    delivered: bool,
) -> anyhow::Result<()> {
    let (client, webhook) = one.find().await?;
    if let Some(id) = delivery {
        client.replay_webhook_delivery(webhook.id, id).await?;
        return print("1 delivery is sent again\n");
    }
    let span = i64::try_from(since.unwrap_or_default().as_micros()).unwrap_or(i64::MAX);
    let now = references::now().as_micros();
    let range = ReplayDeliveries {
        since: Time::from_micros(now.saturating_sub(span).max(0)),
        until: Some(Time::from_micros(now)),
        delivered,
    };
    let answer = client.replay_webhook_deliveries(webhook.id, &range).await?;
    let more = if answer.more {
        "; there are more: do it again"
    } else {
        ""
    };
    match answer.replayed {
        1 => print(&format!("1 delivery is sent again{more}\n")),
        count => print(&format!("{count} deliveries are sent again{more}\n")),
    }
}
