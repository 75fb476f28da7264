//! The file that a cluster's policy is written in.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::ClusterPolicy;
use super::images::ImagePattern;
use super::kinds::{KindPattern, KindRules};
use super::pattern::Pattern;
use super::windows::{MaintenanceWindow, read_duration, read_start};

/// Why a policy is not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyFileError {
    /// No YAML, or a key or a value that is not what a policy has.
    #[error("the policy cannot be read: {0}")]
    Yaml(String),
    /// A value that makes no sense.
    #[error("line {line}: {field} {problem}")]
    Field {
        /// Where it stands, counted from 1.
        line: u64,
        /// Path of the field.
        field: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

type Texts = Vec<Spanned<String>>;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
struct File {
    work_types: Option<Texts>,
    namespaces: Namespaces,
    kinds: Kinds,
    images: Images,
    service_accounts: ServiceAccounts,
    privileged: bool,
    windows: Vec<FileWindow>,
    slots: BTreeMap<String, Spanned<usize>>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Namespaces {
    allow: Option<Texts>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
struct Kinds {
    deny: Texts,
    allow: Texts,
    allow_cluster_scoped: Texts,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Images {
    allow: Option<Texts>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ServiceAccounts {
    default: BTreeMap<String, Spanned<String>>,
    allow: Option<Texts>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileWindow {
    start: Spanned<String>,
    duration: Spanned<String>,
    #[serde(default)]
    zone: Option<Spanned<String>>,
}

pub(super) fn read(yaml: &str) -> Result<ClusterPolicy, PolicyFileError> {
    let options = serde_saphyr::options! { with_snippet: false };
    let mut files = serde_saphyr::from_multiple_with_options::<File>(yaml, options)
        .map_err(|error| PolicyFileError::Yaml(error.to_string()))?;
    let file = files.pop().unwrap_or_default();
    if !files.is_empty() {
        return Err(PolicyFileError::Yaml("it is more than one document".to_owned()));
    }
    file.into_policy()
}

impl File {
    fn into_policy(self) -> Result<ClusterPolicy, PolicyFileError> {
        let kinds = KindRules {
            deny: each(self.kinds.deny, "kinds.deny", KindPattern::new)?,
            allow: each(self.kinds.allow, "kinds.allow", KindPattern::new)?,
            allow_cluster_scoped: each(
                self.kinds.allow_cluster_scoped,
                "kinds.allowClusterScoped",
                KindPattern::new,
            )?,
        };
        Ok(ClusterPolicy {
            work_types: work_types(self.work_types)?,
            namespaces: some(self.namespaces.allow, "namespaces.allow", Pattern::new)?,
            kinds,
            images: some(self.images.allow, "images.allow", ImagePattern::new)?,
            service_accounts: some(self.service_accounts.allow, "serviceAccounts.allow", Pattern::new)?,
            default_service_accounts: accounts(self.service_accounts.default)?,
            privileged: self.privileged,
            windows: windows(self.windows)?,
            slots: slots(self.slots)?,
        })
    }
}

fn work_types(texts: Option<Texts>) -> Result<Option<BTreeSet<String>>, PolicyFileError> {
    let types = some(texts, "workTypes", str::to_owned)?;
    Ok(types.map(|types| types.into_iter().collect()))
}

fn accounts(
    accounts: BTreeMap<String, Spanned<String>>,
) -> Result<BTreeMap<String, String>, PolicyFileError> {
    let each = accounts.into_iter().map(|(namespace, account)| {
        let field = format!("serviceAccounts.default.{namespace}");
        Ok((namespace, filled(account, &field)?))
    });
    each.collect()
}

fn slots(slots: BTreeMap<String, Spanned<usize>>) -> Result<BTreeMap<String, usize>, PolicyFileError> {
    let each = slots.into_iter().map(|(work_type, slots)| match slots.value {
        0 => Err(PolicyFileError::Field {
            line: slots.referenced.line(),
            field: format!("slots.{work_type}"),
            problem: "is zero; leave the type out of workTypes instead",
        }),
        count => Ok((work_type, count)),
    });
    each.collect()
}

fn windows(windows: Vec<FileWindow>) -> Result<Vec<MaintenanceWindow>, PolicyFileError> {
    let each = windows.into_iter().enumerate().map(|(index, window)| {
        let field = |name: &str| format!("windows[{index}].{name}");
        let start = read_start(&window.start.value).ok_or_else(|| {
            wrong(
                &window.start,
                field("start"),
                "is no moment that comes: five fields are needed (minute, hour, day of month, month, day of week)",
            )
        })?;
        let duration = read_duration(&window.duration.value).ok_or_else(|| {
            wrong(
                &window.duration,
                field("duration"),
                "is no time between 1m and 31 days, like 6h or 1h 30m",
            )
        })?;
        let zone = match &window.zone {
            None => TimeZone::UTC,
            Some(zone) => TimeZone::get(&zone.value)
                .map_err(|_| wrong(zone, field("zone"), "is no time zone, like Europe/Berlin"))?,
        };
        Ok(MaintenanceWindow::new(start, duration, zone))
    });
    each.collect()
}

fn some<T>(
    texts: Option<Texts>,
    field: &str,
    read: impl Fn(&str) -> T,
) -> Result<Option<Vec<T>>, PolicyFileError> {
    texts.map(|texts| each(texts, field, read)).transpose()
}

fn each<T>(texts: Texts, field: &str, read: impl Fn(&str) -> T) -> Result<Vec<T>, PolicyFileError> {
    let each = texts.into_iter().enumerate().map(|(index, text)| {
        let text = filled(text, &format!("{field}[{index}]"))?;
        Ok(read(&text))
    });
    each.collect()
}

/// A text that says something. A pattern with spaces would never fit, and its author would not notice.
fn filled(text: Spanned<String>, field: &str) -> Result<String, PolicyFileError> {
    if text.value.is_empty() {
        return Err(wrong(&text, field.to_owned(), "is empty"));
    }
    if text.value.contains(char::is_whitespace) {
        return Err(wrong(&text, field.to_owned(), "contains white space"));
    }
    Ok(text.value)
}

fn wrong(text: &Spanned<String>, field: String, problem: &'static str) -> PolicyFileError {
    PolicyFileError::Field {
        line: text.referenced.line(),
        field,
        problem,
    }
}

#[cfg(test)]
mod tests;
