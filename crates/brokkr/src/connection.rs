//! Which broker a command talks to, and with which PAK.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use brokkr_api::PakText;
use brokkr_client::{Client, ClientConfig, ConfigError};
use url::Url;

use crate::commands::dev::directory::{self, Running};
use crate::contexts::Contexts;
use crate::exit::usage;
use crate::telemetry::trace;

/// The broker of a command, where it is not the usual one.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectionArgs {
    /// The broker's URL: scheme, host and port
    #[arg(long, value_name = "URL", env = "BROKKR_BROKER", hide_env_values = true)]
    pub(crate) broker: Option<String>,

    /// A file that holds the PAK for it; the variable BROKKR_PAK may hold the PAK itself
    #[arg(long, value_name = "FILE", env = "BROKKR_PAK_FILE", hide_env_values = true)]
    pub(crate) pak_file: Option<PathBuf>,

    /// A context made by `brokkr login`, instead of the current one
    #[arg(long, value_name = "NAME", env = "BROKKR_CONTEXT", hide_env_values = true)]
    pub(crate) context: Option<String>,

    /// Certificates to trust, as PEM, instead of those of the system
    #[arg(long, value_name = "FILE", env = "BROKKR_CA_FILE", hide_env_values = true)]
    pub(crate) ca_file: Option<PathBuf>,
}

/// A broker, a PAK, and where they were found.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Endpoint {
    pub(crate) broker: String,
    pub(crate) pak: PakText,
    /// For people, such as `context prod`.
    pub(crate) origin: String,
}

/// Where connections are looked for.
pub(crate) struct Surroundings<'a> {
    /// `BROKKR_PAK`.
    pub(crate) pak: Option<String>,
    pub(crate) directory: &'a Path,
    pub(crate) contexts: Contexts,
}

const NO_BROKER: &str = "\
no broker is known. Do one of these:
  brokkr dev                                       start one here, with an agent (in another terminal)
  brokkr login --broker URL --pak-file FILE        remember one
  brokkr ... --broker URL --pak-file FILE          name one for this command
  export BROKKR_BROKER=URL BROKKR_PAK_FILE=FILE    name one for this shell";

impl ConnectionArgs {
    /// A client for the endpoint of the command.
    ///
    /// # Errors
    /// A usage error that says what to do when no broker is known.
    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        self.resolve()?.client(self.ca_file.as_deref())
    }

    /// The endpoint of a command that a person typed.
    ///
    /// # Errors
    /// A usage error that says what to do when none is known.
    pub(crate) fn resolve(&self) -> anyhow::Result<Endpoint> {
        let directory = std::env::current_dir().context("could not tell the current directory")?;
        let contexts = match Contexts::path(|name| std::env::var(name).ok()) {
            Ok(path) => {
                Contexts::load(&path).map_err(|error| usage(format!("{:#}", anyhow::Error::new(error))))?
            }
            // Somebody without a home has no contexts, but may name a broker in other ways.
            Err(_) => Contexts::default(),
        };
        let pak = std::env::var("BROKKR_PAK").ok().filter(|pak| !pak.is_empty());
        self.resolve_in(Surroundings {
            pak,
            directory: &directory,
            contexts,
        })
    }

    /// Flags and variables first, then a `brokkr dev` that runs here, then the current context.
    fn resolve_in(&self, around: Surroundings<'_>) -> anyhow::Result<Endpoint> {
        let given_pak = match &self.pak_file {
            Some(file) => Some(read_pak(file)?),
            None => around.pak.map(PakText::new),
        };
        match (&self.broker, given_pak, &self.context) {
            (Some(broker), Some(pak), _) => Ok(Endpoint {
                broker: broker.clone(),
                pak,
                origin: "flags or environment".to_owned(),
            }),
            (Some(broker), None, None) => of_broker(broker, &around.contexts),
            (Some(_), None, Some(name)) | (None, None, Some(name)) => of_context(name, &around.contexts),
            (None, Some(_), _) => Err(usage(
                "a PAK was given but no broker; say which one with --broker or BROKKR_BROKER",
            )),
            (None, None, None) => of_surroundings(around.directory, &around.contexts),
        }
    }
}

impl Endpoint {
    /// A client for it. The work that it submits belongs to the trace of the caller, or to a new one.
    ///
    /// # Errors
    /// A usage error when address, PAK or certificates cannot be used.
    pub(crate) fn client(&self, ca_file: Option<&Path>) -> anyhow::Result<Client> {
        Client::new(self.client_config(ca_file)?).map_err(unusable)
    }

    /// How to reach it.
    pub(crate) fn client_config(&self, ca_file: Option<&Path>) -> anyhow::Result<ClientConfig> {
        let url = Url::parse(&self.broker)
            .map_err(|error| usage(format!("{} is not an address: {error}", self.broker)))?;
        let certificates = ca_file.map(read_certificates).transpose()?;
        let config = ClientConfig::new(url).with_pak(self.pak.clone());
        Ok(ClientConfig {
            root_certificates_pem: certificates,
            headers: Some(trace::headers()),
            ..config
        })
    }
}

fn unusable(error: ConfigError) -> anyhow::Error {
    usage(format!("{:#}", anyhow::Error::new(error)))
}

fn read_certificates(file: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(file).map_err(|error| usage(format!("could not read {}: {error}", file.display())))
}

/// A broker without a PAK is enough when a context knows the PAK.
fn of_broker(broker: &str, contexts: &Contexts) -> anyhow::Result<Endpoint> {
    let same = |url: &str| url.trim_end_matches('/') == broker.trim_end_matches('/');
    match contexts.contexts.iter().find(|context| same(&context.broker)) {
        Some(context) => of_context(&context.name, contexts),
        None => Err(usage(format!(
            "there is no PAK for {broker}; give one with --pak-file, BROKKR_PAK_FILE or BROKKR_PAK, or use brokkr login"
        ))),
    }
}

fn of_context(name: &str, contexts: &Contexts) -> anyhow::Result<Endpoint> {
    let context = contexts.get(name).map_err(|error| usage(error.to_string()))?;
    Ok(Endpoint {
        broker: context.broker.clone(),
        pak: context.pak.clone(),
        origin: format!("context {name}"),
    })
}

fn of_surroundings(directory: &Path, contexts: &Contexts) -> anyhow::Result<Endpoint> {
    if let Some(Running { broker, pak, place }) = directory::running_near(directory)? {
        return Ok(Endpoint {
            broker,
            pak,
            origin: format!("brokkr dev in {}", place.display()),
        });
    }
    match &contexts.current {
        Some(name) => of_context(name, contexts),
        None => Err(usage(NO_BROKER)),
    }
}

/// Reads a PAK from a file, white space around it left out.
///
/// # Errors
/// A usage error that names the file.
pub(crate) fn read_pak(file: &Path) -> anyhow::Result<PakText> {
    let text = fs::read_to_string(file)
        .map_err(|error| usage(format!("could not read {}: {error}", file.display())))?;
    match text.trim() {
        "" => Err(usage(format!(
            "{} is empty; it should hold a PAK",
            file.display()
        ))),
        pak => Ok(PakText::new(pak)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contexts::Context;
    use crate::exit::{self, Exit};

    fn contexts() -> Contexts {
        let mut contexts = Contexts::default();
        for name in ["staging", "prod"] {
            let broker = format!("https://{name}.example");
            contexts.put(Context {
                name: name.to_owned(),
                broker,
                pak: PakText::new(format!("pak of {name}")),
            });
        }
        contexts
    }

    fn resolve(args: &ConnectionArgs, pak: Option<&str>, contexts: Contexts) -> anyhow::Result<Endpoint> {
        let nowhere = tempfile::tempdir().unwrap();
        args.resolve_in(Surroundings {
            pak: pak.map(str::to_owned),
            directory: nowhere.path(),
            contexts,
        })
    }

    #[test]
    fn flags_win_over_everything() {
        let args = ConnectionArgs {
            broker: Some("http://here".to_owned()),
            ..ConnectionArgs::default()
        };
        let endpoint = resolve(&args, Some("secret"), contexts()).unwrap();
        assert_eq!(
            (endpoint.broker.as_str(), endpoint.pak.expose()),
            ("http://here", "secret")
        );
    }

    #[test]
    fn a_broker_alone_finds_its_pak_among_the_contexts() {
        let args = ConnectionArgs {
            broker: Some("https://staging.example/".to_owned()),
            ..ConnectionArgs::default()
        };
        assert_eq!(
            resolve(&args, None, contexts()).unwrap().pak.expose(),
            "pak of staging"
        );
    }

    #[test]
    fn without_flags_the_current_context_is_used_and_another_can_be_named() {
        let current = resolve(&ConnectionArgs::default(), None, contexts()).unwrap();
        assert_eq!(current.origin, "context prod");
        let args = ConnectionArgs {
            context: Some("staging".to_owned()),
            ..ConnectionArgs::default()
        };
        assert_eq!(
            resolve(&args, None, contexts()).unwrap().broker,
            "https://staging.example"
        );
    }

    #[test]
    fn what_is_missing_is_a_usage_error_that_says_what_to_do() {
        let error = resolve(&ConnectionArgs::default(), None, Contexts::default()).unwrap_err();
        assert_eq!(exit::of_error(&error), Exit::Usage);
        assert!(error.to_string().contains("brokkr login"), "{error}");
        assert!(resolve(&ConnectionArgs::default(), Some("secret"), contexts()).is_err());
    }
}
