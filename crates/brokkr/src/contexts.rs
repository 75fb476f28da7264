//! The brokers that this user has logged in to: a file that only its owner can read.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use brokkr_api::PakText;
use serde::{Deserialize, Serialize};

/// All contexts of a user.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Contexts {
    /// The one that commands use unless they are told otherwise.
    pub(crate) current: Option<String>,
    /// In the order of their names.
    pub(crate) contexts: Vec<Context>,
}

/// A broker and a PAK for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Context {
    pub(crate) name: String,
    pub(crate) broker: String,
    pub(crate) pak: PakText,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ContextsError {
    #[error("neither XDG_CONFIG_HOME nor HOME is set, so there is no place for contexts")]
    NoHome,
    #[error("could not read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is not a file of contexts", path.display())]
    Parse { path: PathBuf, source: toml::de::Error },
    #[error("could not write {}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("could not write contexts as TOML")]
    Serialise(#[source] toml::ser::Error),
    #[error("there is no context {name:?}; there are: {known}")]
    Unknown { name: String, known: String },
}

impl Contexts {
    /// Where contexts are kept, from `$XDG_CONFIG_HOME` and `$HOME`.
    pub(crate) fn path(variable: impl Fn(&str) -> Option<String>) -> Result<PathBuf, ContextsError> {
        let base = match variable("XDG_CONFIG_HOME").filter(|path| path.starts_with('/')) {
            Some(path) => PathBuf::from(path),
            None => Path::new(&variable("HOME").ok_or(ContextsError::NoHome)?).join(".config"),
        };
        Ok(base.join("brokkr").join("contexts.toml"))
    }

    /// Reads the file; one that is missing holds no contexts.
    pub(crate) fn load(path: &Path) -> Result<Contexts, ContextsError> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Contexts::default()),
            Err(source) => {
                return Err(ContextsError::Read {
                    path: path.to_owned(),
                    source,
                });
            }
        };
        toml::from_str(&text).map_err(|source| ContextsError::Parse {
            path: path.to_owned(),
            source,
        })
    }

    /// Writes the file at once as a whole, readable for its owner only.
    pub(crate) fn save(&self, path: &Path) -> Result<(), ContextsError> {
        let text = toml::to_string_pretty(self).map_err(ContextsError::Serialise)?;
        let failed = |source| ContextsError::Write {
            path: path.to_owned(),
            source,
        };
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        write_private(path, text.as_bytes()).map_err(failed)
    }

    /// The context of this name.
    pub(crate) fn get(&self, name: &str) -> Result<&Context, ContextsError> {
        self.contexts
            .iter()
            .find(|context| context.name == name)
            .ok_or_else(|| self.unknown(name))
    }

    /// Adds a context, or replaces the one of the same name, and makes it the current one.
    pub(crate) fn put(&mut self, context: Context) {
        self.contexts.retain(|other| other.name != context.name);
        self.current = Some(context.name.clone());
        self.contexts.push(context);
        self.contexts.sort_by(|a, b| a.name.cmp(&b.name));
    }

    /// Makes a context the current one.
    pub(crate) fn select(&mut self, name: &str) -> Result<(), ContextsError> {
        self.current = Some(self.get(name)?.name.clone());
        Ok(())
    }

    /// Forgets a context.
    pub(crate) fn remove(&mut self, name: &str) -> Result<(), ContextsError> {
        self.get(name)?;
        self.contexts.retain(|context| context.name != name);
        if self.current.as_deref() == Some(name) {
            self.current = None;
        }
        Ok(())
    }

    fn unknown(&self, name: &str) -> ContextsError {
        let known: Vec<&str> = self
            .contexts
            .iter()
            .map(|context| context.name.as_str())
            .collect();
        let known = if known.is_empty() {
            "none".to_owned()
        } else {
            known.join(", ")
        };
        ContextsError::Unknown {
            name: name.to_owned(),
            known,
        }
    }
}

/// Replaces a file as a whole. Its mode is 0600 from the first byte on.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let new = path.with_file_name(name);
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)?;
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    let written = file
        .write_all(bytes)
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        // What could not be put in place must not lie about with its secret.
        let _ = fs::remove_file(&new);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(name: &str) -> Context {
        Context {
            name: name.to_owned(),
            broker: "https://broker.example".to_owned(),
            pak: PakText::new("brokkr_BRabcdefgh_secret"),
        }
    }

    #[test]
    fn contexts_are_read_back_as_written_and_only_their_owner_can_read_them() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("brokkr").join("contexts.toml");
        let mut contexts = Contexts::load(&path).unwrap();
        contexts.put(context("prod"));
        contexts.put(context("dev"));
        contexts.save(&path).unwrap();
        assert_eq!(Contexts::load(&path).unwrap(), contexts);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn logging_in_again_replaces_the_context_and_makes_it_current() {
        let mut contexts = Contexts::default();
        contexts.put(context("prod"));
        contexts.put(context("dev"));
        contexts.put(Context {
            broker: "http://other".to_owned(),
            ..context("prod")
        });
        assert_eq!(contexts.contexts.len(), 2);
        assert_eq!(contexts.current.as_deref(), Some("prod"));
        assert_eq!(contexts.get("prod").unwrap().broker, "http://other");
    }

    #[test]
    fn a_deleted_context_is_no_longer_current() {
        let mut contexts = Contexts::default();
        contexts.put(context("prod"));
        contexts.remove("prod").unwrap();
        assert_eq!(contexts, Contexts::default());
        assert!(contexts.select("prod").is_err());
    }

    #[test]
    fn the_place_follows_the_environment() {
        let place = |xdg: Option<&str>, home: Option<&str>| {
            Contexts::path(|name| if name == "HOME" { home } else { xdg }.map(str::to_owned)).ok()
        };
        assert_eq!(
            place(Some("/x"), Some("/h")),
            Some(PathBuf::from("/x/brokkr/contexts.toml"))
        );
        assert_eq!(
            place(None, Some("/h")),
            Some(PathBuf::from("/h/.config/brokkr/contexts.toml"))
        );
        assert_eq!(place(Some(""), None), None);
    }
}
