//! `brokkr migrate`.

use anyhow::Context as _;
use brokkr_broker::app::restore::Restored;
use brokkr_broker::dal::migrate::{self, Status};
use brokkr_broker::dal::{Db, DbOptions};
use brokkr_broker::{Broker, StartError};

use crate::config::load::Flags;
use crate::config::{ConfigArgs, show};
use crate::exit::{Exit, usage};
use crate::output::print;

const EXAMPLES: &str = "\
Examples:
  brokkr migrate --database-url postgres://brokkr@db/brokkr --status
  brokkr migrate --database-url postgres://brokkr@db/brokkr
  brokkr migrate --database-url postgres://brokkr@db/brokkr --restored    after restoring a backup";

/// Bring a database's schema up to date; a broker does the same when it starts
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// sqlite:PATH or postgres://USER:PASSWORD@HOST/NAME
    #[arg(long, value_name = "URL", env = "BROKKR_DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,

    /// Only tell what would be done; the exit code is 1 when there is something
    #[arg(long)]
    status: bool,

    /// The database was restored from a backup: give later attempts numbers that no earlier one had, and take back all claims.
    /// To be run before a broker starts; while one serves the database it is refused
    #[arg(long, conflicts_with = "status")]
    restored: bool,

    /// With --restored: go on although a broker seems to serve the database
    #[arg(long, requires = "restored")]
    force: bool,

    #[command(flatten)]
    config: ConfigArgs,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<Exit> {
    let Args {
        database_url,
        status,
        restored,
        force,
        config,
    } = args;
    let config = config
        .load(Flags::default().set("database", "url", database_url))?
        .config;
    let only_look = status || restored;
    let db = open(&config.database.url, &config.database.options(), only_look).await?;
    let before = migrate::status(&db).await?;
    if status {
        print(&told(&before))?;
        db.close().await;
        return Ok(if before.pending.is_empty() && before.newer().is_none() {
            Exit::Succeeded
        } else {
            Exit::Failed
        });
    }
    let restored = if restored {
        Some(restore(&db, force).await?)
    } else {
        migrate::run(&db).await?;
        None
    };
    print(&applied(&before))?;
    if let Some(restored) = &restored {
        print(&after_restore(restored))?;
    }
    db.close().await;
    Ok(Exit::Succeeded)
}

async fn restore(db: &Db, force: bool) -> anyhow::Result<Restored> {
    let restored = if force {
        Broker::restored_beside_brokers(db).await
    } else {
        Broker::restored(db).await
    };
    match restored {
        Err(error @ StartError::Served) => Err(anyhow::Error::new(error).context(
            "nothing was changed, since restoring needs all brokers to be stopped (--force if you know that they are)",
        )),
        restored => Ok(restored?),
    }
}

fn applied(before: &Status) -> String {
    if before.pending.is_empty() {
        return "the schema is up to date\n".to_owned();
    }
    before
        .pending
        .iter()
        .map(|(version, name)| format!("applied {version} {name}\n"))
        .collect()
}

fn after_restore(restored: &Restored) -> String {
    let mut text = format!(
        "attempts are numbered above {} from now on\n{}\n",
        restored.epoch.number(),
        match restored.taken_back {
            1 => "1 claim was taken back".to_owned(),
            claims => format!("{claims} claims were taken back"),
        }
    );
    let waiting = match restored.waiting_at_most_once {
        0 => return text,
        1 => "1 waiting order must not run twice and may have run".to_owned(),
        orders => format!("{orders} waiting orders must not run twice and may have run"),
    };
    text.push_str(&waiting);
    text.push_str(" after the backup was taken: cancel what did\n");
    text
}

/// Opens the database. Looking at one does not make it.
async fn open(url: &str, options: &DbOptions, only_look: bool) -> anyhow::Result<Db> {
    if let Some(path) = sqlite_path(url).filter(|path| only_look && !std::path::Path::new(path).exists()) {
        return Err(usage(format!("there is no database {path}")));
    }
    Db::connect(url, options)
        .await
        .with_context(|| format!("could not open {}", show::mask_password(url)))
}

/// The file of an SQLite database.
pub(crate) fn sqlite_path(url: &str) -> Option<&str> {
    let path = url.strip_prefix("sqlite:")?;
    let path = path.strip_prefix("//").unwrap_or(path);
    let path = path.split('?').next().unwrap_or(path);
    (path != ":memory:" && !path.is_empty()).then_some(path)
}

fn told(status: &Status) -> String {
    let mut text: String = status
        .applied
        .iter()
        .map(|version| format!("applied  {version}\n"))
        .collect();
    for (version, name) in &status.pending {
        text.push_str(&format!("pending  {version} {name}\n"));
    }
    if let Some(version) = status.newer() {
        text.push_str(&format!(
            "a newer brokkr has been here: version {version} is not known\n"
        ));
    } else if status.pending.is_empty() {
        text.push_str("the schema is up to date\n");
    }
    text
}
