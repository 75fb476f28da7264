//! A browser that lives as long as its value.

use std::io;
use std::time::Duration;

use fantoccini::error::NewSessionError;
use fantoccini::wd::Capabilities;
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::driver::Driver;
use crate::programs::{Programs, ProgramsMissing};

/// More browsers at once only wait for each other.
const BROWSERS_MAX: usize = 2;
static BROWSERS: Semaphore = Semaphore::const_new(BROWSERS_MAX);

const START_MAX: Duration = Duration::from_secs(60);
const PAGE_MAX_MS: u64 = 45_000;

/// Nothing but what a test asks for may reach the network, and everything must run as root in a small container.
const FLAGS: [&str; 14] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--disable-search-engine-choice-screen",
    "--no-first-run",
    "--no-default-browser-check",
    "--hide-scrollbars",
    "--window-size=1280,900",
];

/// How a browser is set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Settings {
    /// Pages may run no script.
    pub without_javascript: bool,
}

/// Why there is no browser.
#[derive(Debug, thiserror::Error)]
pub enum BrowserError {
    /// It is not installed.
    #[error(transparent)]
    Missing(#[from] ProgramsMissing),
    /// Its files or its driver could not be had.
    #[error("could not {0}")]
    Prepare(&'static str, #[source] io::Error),
    /// The driver started no browser.
    #[error("chromedriver opened no browser")]
    Session(#[source] Box<NewSessionError>),
    /// The driver did not say anything in time.
    #[error("chromedriver opened no browser in {} s", START_MAX.as_secs())]
    Slow,
}

/// A browser with one window and an empty profile.
pub struct Browser {
    client: Client,
    // The order of the fields is that in which they end.
    _driver: Driver,
    _directory: TempDir,
    _permit: SemaphorePermit<'static>,
}

impl Browser {
    /// Starts a browser; takes about a second. Panics with the reason when there is none, because no test of a page can go on.
    pub async fn start() -> Browser {
        Browser::start_with(Settings::default()).await
    }

    /// The same, with settings.
    pub async fn start_with(settings: Settings) -> Browser {
        Browser::try_start(settings)
            .await
            .unwrap_or_else(|error| panic!("{error}: {error:?}"))
    }

    /// Starts a browser, once fewer than two others run.
    pub async fn try_start(settings: Settings) -> Result<Browser, BrowserError> {
        let programs = Programs::find()?;
        let permit = BROWSERS
            .acquire()
            .await
            .map_err(|error| BrowserError::Prepare("wait for other browsers", io::Error::other(error)))?;
        let directory =
            tempfile::tempdir().map_err(|error| BrowserError::Prepare("make a directory", error))?;
        let driver = Driver::start(&programs, directory.path())
            .map_err(|error| BrowserError::Prepare("start chromedriver", error))?;
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(capabilities(&programs, &directory, settings));
        let client = timeout(START_MAX, builder.connect(driver.url()))
            .await
            .map_err(|_| BrowserError::Slow)?
            .map_err(|error| BrowserError::Session(Box::new(error)))?;
        Ok(Browser {
            client,
            _driver: driver,
            _directory: directory,
            _permit: permit,
        })
    }

    /// The client of the driver, for what has no word here.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }
}

fn capabilities(programs: &Programs, directory: &TempDir, settings: Settings) -> Capabilities {
    let profile = directory.path().join("profile");
    let mut flags: Vec<String> = FLAGS.iter().map(ToString::to_string).collect();
    flags.push(format!("--user-data-dir={}", profile.display()));
    let mut preferences = json!({
        "credentials_enable_service": false,
        "download.default_directory": directory.path().join("downloads"),
    });
    if settings.without_javascript {
        // As a person sets it for all sites.
        preferences["profile.managed_default_content_settings.javascript"] = json!(2);
    }
    let entries = [
        ("browserName", json!("chrome")),
        ("unhandledPromptBehavior", json!("ignore")),
        (
            "timeouts",
            json!({ "implicit": 0, "pageLoad": PAGE_MAX_MS, "script": PAGE_MAX_MS }),
        ),
        ("goog:loggingPrefs", json!({ "browser": "ALL" })),
        (
            "goog:chromeOptions",
            json!({ "binary": programs.chromium, "args": flags, "prefs": preferences }),
        ),
    ];
    entries
        .into_iter()
        .map(|(name, value): (&str, Value)| (name.to_owned(), value))
        .collect()
}
