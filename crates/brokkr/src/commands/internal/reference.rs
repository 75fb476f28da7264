//! Pages of the manual that are made from the program itself, so that they cannot go out of date.

use std::collections::BTreeMap;

use brokkr_broker::config::{
    AdminConfig, AuthenticationConfig, ConsoleConfig, DatabaseConfig, HttpConfig, Limits, RetentionConfig,
    SweepConfig, TlsConfig, WebhooksConfig,
};
use clap::CommandFactory as _;
use serde_json::Value;
use utoipa::PartialSchema;

use crate::cli::Cli;
use crate::config::{AgentSection, Config, KubernetesSection, TelemetrySection, show};

/// The help of every command, as it is printed on a terminal of this width.
const WIDTH: usize = 100;

/// Sections within a section.
const TLS: &str = "http.tls";
const KUBERNETES: &str = "agent.kubernetes";

const COMMANDS_HEAD: &str = "\
# Commands

This page is what `brokkr COMMAND --help` prints. It is made by `brokkr internal reference commands`, and a test keeps it
up to date.
";

const CONFIGURATION_HEAD: &str = "\
# Configuration

Broker and agent are configured by a file, by variables and by flags. What comes later in this list is stronger:

1. the defaults on this page;
2. the file: that of `--config` (or `BROKKR_CONFIG`), else `./brokkr.toml`, else `brokkr/brokkr.toml` below
   `$XDG_CONFIG_HOME` or `~/.config`;
3. variables: `BROKKR__SECTION__KEY`, such as `BROKKR__HTTP__LISTEN=0.0.0.0:3000` for `listen` in `[http]`. Lists are
   written `[a, b]`;
4. flags.

Unknown keys are refused, with their names. `brokkr config show` prints what is in force and where it comes from, with
secrets masked. A file has only the sections that it needs:

```toml
[http]
listen = \"0.0.0.0:3000\"

[database]
url = \"postgres://brokkr@db/brokkr\"
```

This page is made by `brokkr internal reference configuration`, and a test keeps it up to date.
";

/// `docs/commands.md`.
pub(super) fn commands() -> String {
    let mut root = Cli::command().term_width(WIDTH);
    root.build();
    let mut page = COMMANDS_HEAD.to_owned();
    describe(&mut root, "brokkr", &mut page);
    page
}

fn describe(command: &mut clap::Command, path: &str, page: &mut String) {
    let help = command
        .clone()
        .bin_name(path)
        .term_width(WIDTH)
        .render_long_help()
        .to_string();
    let help: String = help
        .lines()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect();
    page.push_str(&format!("\n## {path}\n\n```text\n{}```\n", help.trim_start()));
    for inner in command.get_subcommands_mut() {
        if inner.is_hide_set() || inner.get_name() == "help" {
            continue;
        }
        let path = format!("{path} {}", inner.get_name());
        describe(inner, &path, page);
    }
}

/// `docs/configuration.md`.
pub(super) fn configuration() -> String {
    let defaults: BTreeMap<String, Value> = show::flattened(&Config::default()).into_iter().collect();
    let mut page = CONFIGURATION_HEAD.to_owned();
    section::<HttpConfig>("http", &defaults, &mut page);
    section::<TlsConfig>(TLS, &defaults, &mut page);
    section::<DatabaseConfig>("database", &defaults, &mut page);
    section::<AdminConfig>("admin", &defaults, &mut page);
    section::<AuthenticationConfig>("authentication", &defaults, &mut page);
    section::<ConsoleConfig>("console", &defaults, &mut page);
    section::<Limits>("limits", &defaults, &mut page);
    section::<SweepConfig>("sweeps", &defaults, &mut page);
    section::<RetentionConfig>("retention", &defaults, &mut page);
    section::<WebhooksConfig>("webhooks", &defaults, &mut page);
    section::<AgentSection>("agent", &defaults, &mut page);
    section::<KubernetesSection>(KUBERNETES, &defaults, &mut page);
    section::<TelemetrySection>("telemetry", &defaults, &mut page);
    page
}

fn section<T: PartialSchema>(name: &str, defaults: &BTreeMap<String, Value>, page: &mut String) {
    let schema = serde_json::to_value(T::schema()).unwrap_or_default();
    let about = text_of(&schema);
    page.push_str(&format!(
        "\n## `[{name}]`\n\n{about}\n\n| key | default | meaning |\n|---|---|---|\n"
    ));
    let keys = schema
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten();
    for (key, property) in keys {
        let path = format!("{name}.{key}");
        if path == TLS || path == KUBERNETES {
            continue;
        }
        let default = match defaults.get(&path) {
            Some(Value::Null) | None => String::new(),
            Some(value) => format!("`{}`", show::toml_value(value)),
        };
        page.push_str(&format!("| `{key}` | {default} | {} |\n", text_of(property)));
    }
}

/// A description on one line. One of a reference stands beside it.
fn text_of(schema: &Value) -> String {
    let text = schema
        .get("description")
        .and_then(Value::as_str)
        .unwrap_or_default();
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_explained() {
        let page = configuration();
        for (key, _) in show::flattened(&Config::default())
            .into_iter()
            .filter(|(key, _)| key != TLS)
        {
            let name = key.rsplit('.').next().unwrap_or_default();
            let row = page
                .lines()
                .find(|line| line.starts_with(&format!("| `{name}` |")));
            let row = row.unwrap_or_else(|| panic!("{key} is missing"));
            assert!(!row.ends_with("|  |"), "{key} is not explained: {row}");
        }
    }

    #[test]
    fn every_command_has_examples() {
        fn visit(command: &clap::Command, path: &str) {
            for inner in command
                .get_subcommands()
                .filter(|inner| !inner.is_hide_set() && inner.get_name() != "help")
            {
                let path = format!("{path} {}", inner.get_name());
                let after = inner
                    .get_after_help()
                    .map(ToString::to_string)
                    .unwrap_or_default();
                assert!(after.contains("Examples:"), "{path} has no examples");
                visit(inner, &path);
            }
        }
        visit(&Cli::command(), "brokkr");
    }
}
