//! Pictures of pages, for people to look at.

use std::path::{Path, PathBuf};

use crate::browser::Browser;
use crate::cdp::Theme;

impl Browser {
    /// Writes what the window shows to `target/screenshots/<page>-<theme>.png`, in both themes, and answers the paths.
    pub async fn photograph(&self, page: &str) -> Vec<PathBuf> {
        let mut written = Vec::new();
        for theme in Theme::ALL {
            self.like(theme).await;
            let picture = self.client().screenshot().await.expect("a picture can be taken");
            let path = directory().join(format!("{page}-{}.png", theme.name()));
            std::fs::create_dir_all(directory()).expect("the directory can be made");
            std::fs::write(&path, picture).expect("a picture can be written");
            written.push(path);
        }
        self.like(Theme::Light).await;
        written
    }
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/screenshots")
}
