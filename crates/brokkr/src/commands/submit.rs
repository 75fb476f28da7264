//! `brokkr submit`.

mod order;
mod preview;

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use brokkr_api::{BatchCreate, BatchItem, CreateWorkOrder, Time, WorkOrder};
use brokkr_client::{Client, ClientError};
use tokio::time::sleep;
use uuid::Uuid;

use super::annotate::key_value;
use crate::connection::ConnectionArgs;
use crate::exit::{Exit, usage};
use crate::output::{self, Format, OutputArgs, print};
use crate::waiting::{self, WaitArgs};
use crate::{follow, references, work_type};
use order::OrderArgs;
pub(crate) use order::idempotency_keys;

const EXAMPLES: &str = "\
Examples:
  brokkr submit -f hello.yaml -l local                          any agent with the label local may run it
  brokkr submit -f hello.yaml --agent runner --follow           see its output; the exit code is the order's
  brokkr submit -f hello.yaml -l prod --dry-run                 only tell who could run it
  brokkr submit -f a.yaml -f b.yaml -l prod --wait              two orders
  brokkr submit -f migrate.yaml -l prod --delivery at-most-once --deadline 10m --wait
  brokkr submit -f report.yaml -l prod --run-at +2h --start-by 3h
  render-manifests | brokkr submit -f - --annotation region=eu-west";

/// Submit work: each file becomes one order
///
/// An order is run by exactly one agent that has its id, or any of the labels, or any of the annotations. The type of the
/// work is told by the documents: brokkr.io/v1 Command is `command`, Shipwright and brokkr.io/v1alpha1 WorkOrder documents
/// are `build`, other Kubernetes objects are `custom`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// A file with YAML documents; - is standard input
    #[arg(
        short,
        long = "file",
        alias = "filename",
        required = true,
        value_name = "FILE"
    )]
    files: Vec<PathBuf>,

    #[command(flatten)]
    order: OrderArgs,

    /// Submit nothing: check the orders, and tell which agents could run them now and why others could not
    #[arg(long, conflicts_with_all = ["wait", "follow", "idempotency_key"])]
    dry_run: bool,

    /// Wait until the orders have ended; the exit code is theirs
    #[arg(long)]
    wait: bool,

    /// Show the output of the orders, and wait for them
    #[arg(long)]
    follow: bool,

    #[command(flatten)]
    waiting: WaitArgs,

    #[command(flatten)]
    output: OutputArgs,

    #[command(flatten)]
    connection: ConnectionArgs,
}

/// A file that has been read and understood.
#[derive(Debug)]
pub(crate) struct Document {
    /// As the user named it.
    pub(crate) file: String,
    pub(crate) work_type: String,
    pub(crate) yaml: String,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<Exit> {
    let Args {
        files,
        order,
        dry_run,
        wait,
        follow,
        waiting,
        output,
        connection,
    } = args;
    // Everything is read before anything is sent, so that a mistake in the last file leaves nothing behind.
    let documents = read(&files, order.work_type.as_deref())?;
    let client = connection.client()?;
    let agents = order.agents(&client).await?;
    let requests = order.requests(&documents, &agents, references::now())?;
    if dry_run {
        return preview::run(&client, &documents, &requests, output.output).await;
    }
    let created = create(&client, &documents, &requests, order.idempotency_key.as_deref()).await?;
    let ids: Vec<Uuid> = created.iter().map(|order| order.id).collect();
    if follow {
        ids.iter().for_each(|id| eprintln!("order/{id} submitted"));
        preview::warn_of_nobody(&client, &ids).await;
        let names = documents.iter().map(|document| document.file.clone());
        follow::orders(&client, &follow::named(ids.into_iter().zip(names)), &waiting).await
    } else if wait {
        ids.iter().for_each(|id| eprintln!("order/{id} submitted"));
        preview::warn_of_nobody(&client, &ids).await;
        waiting::wait_for(&client, &ids, &waiting).await
    } else {
        announce(&created, output.output)?;
        preview::warn_of_nobody(&client, &ids).await;
        Ok(Exit::Succeeded)
    }
}

/// Reads and checks all files.
///
/// # Errors
/// A usage error that names the file, and the line where there is one.
pub(crate) fn read(files: &[PathBuf], work_type: Option<&str>) -> anyhow::Result<Vec<Document>> {
    if 1 < files.iter().filter(|file| is_stdin(file)).count() {
        return Err(usage(
            "standard input can be read only once, so -f - can be given only once",
        ));
    }
    files.iter().map(|file| read_one(file, work_type)).collect()
}

fn read_one(path: &Path, given: Option<&str>) -> anyhow::Result<Document> {
    let (file, text) = if is_stdin(path) {
        let mut text = String::new();
        (
            "standard input".to_owned(),
            std::io::stdin().read_to_string(&mut text).map(|_| text),
        )
    } else {
        (path.display().to_string(), fs::read_to_string(path))
    };
    let yaml = text.map_err(|error| usage(format!("{file}: {error}")))?;
    let work_type = work_type::of(&file, &yaml, given).map_err(|error| usage(error.to_string()))?;
    Ok(Document {
        file,
        work_type,
        yaml,
    })
}

fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Submits the orders, several together. Each request has an idempotency key, so that a lost answer is asked for again without
/// harm.
///
/// # Errors
/// When any was refused; which ones, and what became of the others, has been said then.
async fn create(
    client: &Client,
    documents: &[Document],
    requests: &[CreateWorkOrder],
    key: Option<&str>,
) -> anyhow::Result<Vec<WorkOrder>> {
    if let ([request], [document]) = (requests, documents) {
        let keys = idempotency_keys(key, 1, references::now());
        let created = create_one(client, request, &keys[0]).await;
        return Ok(vec![
            created.with_context(|| format!("could not submit {}", document.file))?,
        ]);
    }
    let mut created = Vec::new();
    let mut refused = None;
    let batches = requests.chunks(BATCH_MAX).zip(documents.chunks(BATCH_MAX));
    let keys = idempotency_keys(key, requests.len().div_ceil(BATCH_MAX), references::now());
    for ((requests, documents), key) in batches.zip(keys) {
        let batch = BatchCreate {
            work_orders: requests.to_vec(),
        };
        let answer = again_if_lost(async || client.create_work_orders(&batch, Some(&key)).await)
            .await
            .inspect_err(|_| told(&created))
            .with_context(|| format!("could not submit {} and what comes after it", documents[0].file))?;
        for (item, document) in answer.items.into_iter().zip(documents) {
            match item {
                BatchItem {
                    work_order: Some(order),
                    ..
                } => created.push(order),
                BatchItem { status, error, .. } => {
                    let error = ClientError::of_item(status, error);
                    eprintln!("could not submit {}: {error}", document.file);
                    refused.get_or_insert((error, document));
                }
            }
        }
    }
    match refused {
        None => Ok(created),
        Some((error, document)) => {
            told(&created);
            Err(error).with_context(|| format!("could not submit {}", document.file))
        }
    }
}

/// The broker takes no larger batches (`limits.batch_orders_max`, which is this unless it was changed).
const BATCH_MAX: usize = 1_000;

fn told(created: &[WorkOrder]) {
    for order in created {
        eprintln!("order/{} submitted", order.id);
    }
}

/// Submits one order, and once more when the answer was lost on the way.
pub(crate) async fn create_one(
    client: &Client,
    request: &CreateWorkOrder,
    key: &str,
) -> anyhow::Result<WorkOrder> {
    let created = again_if_lost(async || client.create_work_order(request, Some(key)).await).await?;
    Ok(created.work_order)
}

/// Asks once more when the answer was lost on the way.
async fn again_if_lost<T>(request: impl AsyncFn() -> Result<T, ClientError>) -> Result<T, ClientError> {
    match request().await {
        Err(error) if error.is_unreachable() && !error.never_sent() => {
            sleep(Duration::from_millis(500)).await;
            request().await
        }
        answer => answer,
    }
}

/// Says what was submitted.
pub(crate) fn announce(created: &[WorkOrder], format: Format) -> anyhow::Result<()> {
    match (format, created) {
        (Format::Table, _) => print(
            &created
                .iter()
                .map(|order| format!("order/{} submitted\n", order.id))
                .collect::<String>(),
        ),
        (Format::Json | Format::Yaml, [one]) => output::machine(format, one),
        _ => output::list(
            format,
            created,
            &references::around_nobody(),
            "nothing was submitted",
        ),
    }
}

/// A point in time: RFC 3339, or a span from now on such as `+10m` or `10m`.
fn time(text: &str) -> Result<When, String> {
    if let Some(span) = text.strip_prefix('+') {
        return humantime::parse_duration(span)
            .map(When::In)
            .map_err(|error| error.to_string());
    }
    if let Ok(span) = humantime::parse_duration(text) {
        return Ok(When::In(span));
    }
    text.parse()
        .map(When::At)
        .map_err(|error: brokkr_api::TimeError| format!("{error}, or a span such as +10m"))
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum When {
    At(Time),
    In(Duration),
}

impl When {
    /// The point in time, if one was given.
    fn time(self) -> Option<Time> {
        match self {
            When::At(time) => Some(time),
            When::In(_) => None,
        }
    }

    /// The span, if one was given.
    fn span(self) -> Option<Duration> {
        match self {
            When::At(_) => None,
            When::In(span) => Some(span),
        }
    }

    fn from(self, now: Time) -> Time {
        match self {
            When::At(time) => time,
            When::In(span) => Time::from_micros(
                now.as_micros()
                    .saturating_add(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_point_or_a_span_with_or_without_a_sign() {
        let ten_minutes = Ok(When::In(Duration::from_secs(600)));
        assert_eq!((time("10m"), time("+10m")), (ten_minutes.clone(), ten_minutes));
        let point = time("2026-01-01T00:00:00Z").unwrap();
        assert_eq!(point.time(), Some("2026-01-01T00:00:00Z".parse().unwrap()));
        assert_eq!(point.span(), None);
        assert!(time("soon").is_err() && time("+soon").is_err());
    }
}
