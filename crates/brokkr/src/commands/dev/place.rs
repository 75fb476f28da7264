//! Where a `brokkr dev` keeps its things.

use std::path::PathBuf;

use anyhow::Context as _;
use brokkr_api::PakText;
use brokkr_core::pak::Pak;
use tempfile::TempDir;

use super::directory::Directory;
use crate::connection::read_pak;
use crate::contexts::write_private;
use crate::random;

/// `.brokkr/` in the current directory, or a temporary directory that goes with this value.
#[derive(Debug)]
pub(super) struct Place {
    directory: Directory,
    /// Announced to other terminals.
    is_found: bool,
    _temporary: Option<TempDir>,
}

impl Place {
    /// `.brokkr/` here.
    pub(super) async fn here() -> anyhow::Result<Place> {
        let current = std::env::current_dir().context("could not tell the current directory")?;
        Ok(Place {
            directory: Directory::take(&current).await?,
            is_found: true,
            _temporary: None,
        })
    }

    /// A directory that is removed at the end.
    pub(super) async fn ephemeral() -> anyhow::Result<Place> {
        let temporary = tempfile::Builder::new()
            .prefix("brokkr-dev-")
            .tempdir()
            .context("could not make a temporary directory")?;
        let directory = Directory::hold(temporary.path().join("dev")).await?;
        Ok(Place {
            directory,
            is_found: false,
            _temporary: Some(temporary),
        })
    }

    /// Whether commands in the same directory find the broker by themselves.
    pub(super) fn is_found(&self) -> bool {
        self.is_found
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.directory.file(name)
    }

    pub(super) fn admin_pak_file(&self) -> PathBuf {
        self.file("admin.pak")
    }

    pub(super) fn agent_pak_file(&self) -> PathBuf {
        self.file("agent.pak")
    }

    /// The administrator's PAK, made when there is none. The broker takes it up, whatever its database knows.
    pub(super) fn admin_pak(&self) -> anyhow::Result<Pak> {
        let file = self.admin_pak_file();
        if file.exists() {
            let text = read_pak(&file)?;
            return Pak::parse(text.expose())
                .with_context(|| format!("{} holds no PAK; remove it", file.display()));
        }
        let pak = Pak::from_random(random::bytes());
        self.keep(&file, &pak.reveal())?;
        Ok(pak)
    }

    /// Keeps a secret in a file.
    pub(super) fn keep(&self, file: &std::path::Path, secret: &str) -> anyhow::Result<()> {
        write_private(file, format!("{secret}\n").as_bytes())
            .with_context(|| format!("could not write {}", file.display()))
    }

    /// Lets other terminals find the broker.
    pub(super) fn announce(&self, broker: &str, pak: &PakText) -> anyhow::Result<()> {
        if self.is_found {
            self.directory.announce(broker, pak)
        } else {
            Ok(())
        }
    }

    /// The opposite.
    pub(super) fn retract(&self) {
        self.directory.retract();
    }
}
