//! `brokkr describe`.

use brokkr_api::{Agent, AgentReport, Delivery, HoldsBack, WorkOrder, WorkOrderLog};
use brokkr_client::Client;
use clap::Subcommand;
use uuid::Uuid;

use crate::connection::ConnectionArgs;
use crate::exit::Exit;
use crate::output::agents::{kubernetes, slots, work_types};
use crate::output::colour::{Stream, paint};
use crate::output::details::Details;
use crate::output::{Around, age, orders, print, table_of};
use crate::references::{self, around, order_id};

const EXAMPLES: &str = "\
Examples:
  brokkr describe order ID        (or order/ID, as -o name prints it)
  brokkr describe agent runner";

/// Tell everything about an order or an agent
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// An order, its attempts and its document
    #[command(after_help = "Examples:\n  brokkr describe order ID")]
    Order {
        /// The order
        #[arg(value_name = "ID", value_parser = order_id)]
        order: Uuid,
        #[command(flatten)]
        connection: ConnectionArgs,
    },
    /// An agent, its labels, annotations and claims
    #[command(after_help = "Examples:\n  brokkr describe agent runner/eu-west")]
    Agent {
        /// Its name, name/cluster or id
        agent: String,
        #[command(flatten)]
        connection: ConnectionArgs,
    },
}

pub(crate) async fn run(args: Args) -> anyhow::Result<Exit> {
    match args.what {
        What::Order { order, connection } => describe_order(&connection.client()?, order).await?,
        What::Agent { agent, connection } => describe_agent(&connection.client()?, &agent).await?,
    }
    Ok(Exit::Succeeded)
}

async fn describe_order(client: &Client, id: Uuid) -> anyhow::Result<()> {
    let order = client.work_order(id).await?;
    let attempts = client.attempts(id).await?;
    let around = around(client).await;
    let mut details = head(&order, &around);
    if order.status.ended() {
        details = ending(details, &client.work_order_log_entry(id).await?, &around);
    }
    if !attempts.is_empty() {
        details = details.block("Attempts", &table_of(&attempts, &around));
    }
    print(&details.block("Document", &order.yaml_content).render())
}

fn head(order: &WorkOrder, around: &Around) -> Details {
    let status = paint(
        Stream::Stdout,
        orders::status_tone(order.status),
        order.status.as_str(),
    );
    let at = |time| format!("{time} ({})", age::relative(time, around.now));
    let metadata: Vec<String> = order
        .metadata
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let delivery = match order.delivery {
        Delivery::AtLeastOnce => "at least once",
        Delivery::AtMostOnce => "at most once",
    };
    Details::default()
        .field("Id", order.id)
        .field("Type", &order.work_type)
        .coloured("Status", status)
        .field("Submitted", at(order.created_at))
        .field("Submitted by", &order.submitted_by)
        .field("For", orders::targets(&order.targeting, around))
        .field("Agent", around.agent(order.claimed_by))
        .maybe("Claimed", order.claimed_at.map(at))
        .maybe("Lease until", order.lease_expires_at.map(at))
        .maybe("Cancel requested", order.cancel_requested_at.map(at))
        .field(
            "Retries",
            format!(
                "{} after failures, {} after losses, of {}",
                order.retry_count, order.lost_count, order.max_retries
            ),
        )
        .field(
            "Around the work",
            format!(
                "{} retries after infrastructure failures, of {}",
                order.infrastructure_retry_count, order.infrastructure_retries_max
            ),
        )
        .maybe("Next attempt", order.next_retry_after.map(at))
        .maybe("Run at", order.run_at.map(at))
        .maybe("Start by", order.start_by.map(at))
        .maybe("Deadline", order.deadline_seconds.map(age::seconds))
        .field("Priority", order.priority)
        .field("Delivery", delivery)
        .field("Metadata", metadata.join(", "))
        .maybe("Retry of", order.retry_of)
        .maybe("Last error", order.last_error.as_deref())
}

fn ending(details: Details, entry: &WorkOrderLog, around: &Around) -> Details {
    let ending = paint(
        Stream::Stdout,
        orders::ending_tone(entry.ending),
        entry.ending.as_str(),
    );
    details
        .coloured("Ending", ending)
        .field(
            "Ended",
            format!(
                "{} ({})",
                entry.completed_at,
                age::relative(entry.completed_at, around.now)
            ),
        )
        .maybe(
            "Took",
            entry
                .claimed_at
                .map(|start| age::between(start, entry.completed_at)),
        )
        .maybe("Class", entry.class)
        .maybe("Exit code", entry.exit_code)
        .maybe("Message", entry.result_message.as_deref())
        .maybe("Result", entry.result.as_ref())
}

/// What an agent says of itself.
fn reported(details: Details, report: &AgentReport) -> Details {
    let unavailable = report.work_types.iter().filter_map(|report| {
        let reason = report.unavailable.as_ref()?;
        Some(format!("{}: {reason}", report.work_type))
    });
    let window = report
        .window_opens_at
        .map(|opens| format!("closed until {opens}"));
    details
        .field("Running", slots(report))
        .field("Types", work_types(report))
        .field("Not now", unavailable.collect::<Vec<_>>().join("; "))
        .maybe("Holds back", report.holds_back.map(HoldsBack::as_str))
        .maybe("Window", window)
        .field("Version", &report.version)
}

async fn describe_agent(client: &Client, name: &str) -> anyhow::Result<()> {
    let agent = references::agent(client, name).await?;
    let labels = client.agent_labels(agent.id).await?;
    let annotations = client.agent_annotations(agent.id).await?;
    let held = client.held_claims(agent.id).await?;
    let around = around(client).await;
    let labels: Vec<String> = labels.into_iter().map(|label| label.label).collect();
    let annotations: Vec<String> = annotations
        .into_iter()
        .map(|annotation| format!("{}={}", annotation.key, annotation.value))
        .collect();
    let at = |time| format!("{time} ({})", age::relative(time, around.now));
    let mut details = Details::default()
        .field("Id", agent.id)
        .field("Name", &agent.name)
        .field("Cluster", &agent.cluster_name)
        .field(
            "Status",
            if agent.status == Agent::ACTIVE {
                "ACTIVE"
            } else {
                "INACTIVE (it claims nothing; see brokkr resume)"
            },
        )
        .field("Labels", labels.join(", "))
        .field("Annotations", annotations.join(", "))
        .field("Created", at(agent.created_at))
        .field(
            "Seen",
            agent.last_heartbeat.map_or_else(|| "never".to_owned(), at),
        )
        .maybe("State", agent.state.as_deref());
    if let (Some(report), Some(reported_at)) = (&agent.report, agent.reported_at) {
        details = reported(details, report).field("Reported", at(reported_at));
    }
    if let (Some(found), Some(reported_at)) = (kubernetes(&agent), agent.k8s_reported_at) {
        details = details.field(
            "Kubernetes",
            format!("{found}, {}", age::relative(reported_at, around.now)),
        );
    }
    if !held.is_empty() {
        let orders: Vec<WorkOrder> = held.into_iter().map(|claim| claim.work_order).collect();
        details = details.block("Claims", &table_of(&orders, &around));
    }
    print(&details.render())
}
