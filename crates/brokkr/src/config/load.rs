//! How the configuration comes together.

use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Env, Format as _, Serialized, Toml};

use super::Config;
use crate::exit::usage;

mod explain;

use explain::explain;

/// The prefix of variables; sections and keys are separated by two underscores as well.
const PREFIX: &str = "BROKKR__";
const FILE: &str = "brokkr.toml";

/// Which file to read.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Configuration")]
pub(crate) struct ConfigArgs {
    /// The configuration file; without it ./brokkr.toml, else brokkr/brokkr.toml below $XDG_CONFIG_HOME or ~/.config
    #[arg(long, value_name = "FILE", env = "BROKKR_CONFIG", hide_env_values = true)]
    pub(crate) config: Option<PathBuf>,
}

/// The configuration in force, and where each part of it comes from.
#[derive(Debug, Clone)]
pub(crate) struct Loaded {
    pub(crate) config: Config,
    pub(crate) file: Option<PathBuf>,
    figment: Figment,
}

/// Flags that were given, as nested keys such as `{"http": {"listen": "..."}}`.
#[derive(Debug, Default)]
pub(crate) struct Flags(serde_json::Map<String, serde_json::Value>);

impl Flags {
    /// Sets a key when its flag was given.
    pub(crate) fn set<T: serde::Serialize>(mut self, section: &str, key: &str, value: Option<T>) -> Flags {
        if let Some(value) = value
            && let Ok(value) = serde_json::to_value(value)
        {
            let entry = self.0.entry(section).or_insert_with(|| serde_json::json!({}));
            entry[key] = value;
        }
        self
    }
}

impl ConfigArgs {
    /// Reads the configuration.
    ///
    /// # Errors
    /// A usage error that names the key, and where it stands.
    pub(crate) fn load(&self, flags: Flags) -> anyhow::Result<Loaded> {
        let file = self.file()?;
        load_from(file, Env::prefixed(PREFIX), flags)
    }

    fn file(&self) -> anyhow::Result<Option<PathBuf>> {
        match &self.config {
            Some(file) if file.is_file() => Ok(Some(file.clone())),
            Some(file) => Err(usage(format!("there is no file {}", file.display()))),
            None => Ok(places().into_iter().find(|place| place.is_file())),
        }
    }
}

/// Where a configuration file is looked for, the first one found counts.
fn places() -> Vec<PathBuf> {
    let variable = |name| {
        std::env::var(name)
            .ok()
            .filter(|path: &String| path.starts_with('/'))
    };
    let home = match (variable("XDG_CONFIG_HOME"), variable("HOME")) {
        (Some(config), _) => Some(PathBuf::from(config)),
        (None, Some(home)) => Some(Path::new(&home).join(".config")),
        (None, None) => None,
    };
    let in_home = home.map(|home| home.join("brokkr").join(FILE));
    [Some(PathBuf::from(FILE)), in_home]
        .into_iter()
        .flatten()
        .collect()
}

fn load_from(file: Option<PathBuf>, environment: Env, flags: Flags) -> anyhow::Result<Loaded> {
    let mut figment = Figment::from(Serialized::defaults(Config::default()));
    if let Some(file) = &file {
        figment = figment.merge(Toml::file_exact(file));
    }
    let figment = figment
        .merge(environment.split("__"))
        .merge(Serialized::from(flags.0, figment::Profile::Default));
    let config = figment.extract().map_err(|error| usage(explain(error)))?;
    Ok(Loaded {
        config,
        file,
        figment,
    })
}

impl Loaded {
    /// Where the value of a key comes from: a file, the environment, a flag, or the default.
    pub(crate) fn origin(&self, key: &str) -> String {
        let Some(metadata) = self.figment.find_metadata(key) else {
            return "default".to_owned();
        };
        match (&metadata.source, metadata.name.contains("environment")) {
            (Some(figment::Source::File(path)), _) => path.display().to_string(),
            (_, true) => format!("{PREFIX}{}", key.to_ascii_uppercase().replace('.', "__")),
            _ if metadata.name.contains("Config") => "default".to_owned(),
            _ => "flag".to_owned(),
        }
    }
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use super::*;

    fn load(toml: &str, flags: Flags) -> anyhow::Result<Loaded> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(FILE);
        std::fs::write(&file, toml).unwrap();
        load_from(Some(file), Env::prefixed("NOT_SET_ANYWHERE__"), flags)
    }

    #[test]
    fn the_file_wins_over_defaults_and_flags_win_over_the_file() {
        let toml = "[http]\nlisten = \"127.0.0.1:1\"\n[agent]\nslots = 9\n";
        let loaded = load(toml, Flags::default().set("http", "listen", Some("127.0.0.1:2"))).unwrap();
        assert_eq!(loaded.config.http.listen.port(), 2);
        assert_eq!(loaded.config.agent.slots, 9);
        assert_eq!(loaded.config.database.url, "sqlite:brokkr.db");
        assert_eq!(loaded.origin("http.listen"), "flag");
        assert_eq!(loaded.origin("agent.lease_seconds"), "default");
        assert!(loaded.origin("agent.slots").ends_with(FILE));
    }

    #[test]
    fn an_unknown_key_is_refused_by_its_name() {
        let error = load("[agent]\nslotz = 9\n", Flags::default())
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("agent.slotz: there is no such key (in "),
            "{error}"
        );
        let error = load("[agnet]\n", Flags::default()).unwrap_err().to_string();
        assert!(error.starts_with("agnet: there is no such key"), "{error}");
    }

    #[test]
    fn a_value_of_the_wrong_kind_is_refused_with_its_key() {
        let error = load("[agent]\nslots = \"many\"\n", Flags::default())
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("agent.slots: "), "{error}");
    }

    #[test]
    fn a_mistake_is_told_without_the_value_that_may_be_a_password() {
        for (toml, told) in [
            (
                "database = \"postgres://me:sesame@db/x\"\n",
                "database: found a text, expected struct DatabaseConfig",
            ),
            (
                "[database]\nurl = \"postgres://me:sesame@db/x\n",
                "TOML parse error at line 2, column ",
            ),
            (
                "[telemetry]\nlog_format = \"sesame\"\n",
                "telemetry.log_format: expected text or json",
            ),
        ] {
            let error = load(toml, Flags::default()).unwrap_err().to_string();
            assert!(error.starts_with(told), "{error}");
            assert!(!error.contains("sesame"), "{error}");
        }
    }
}
