//! What a person does with a page, and what they see.

use std::time::Duration;

use fantoccini::elements::Element;
use fantoccini::error::CmdError;
use fantoccini::{Client, Locator};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::PATIENCE;
use crate::browser::Browser;

const LOOK: Duration = Duration::from_millis(40);
/// Enough of a page to know which one it is.
const SHOWN_MAX: usize = 1_500;

impl Browser {
    /// Opens an address and waits until the page has loaded.
    pub async fn open(&self, url: &str) {
        if let Err(error) = self.client().goto(url).await {
            panic!("could not open {url}: {error}");
        }
    }

    /// The path and query of the page.
    pub async fn path(&self) -> String {
        let url = self
            .client()
            .current_url()
            .await
            .expect("the page has an address");
        match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        }
    }

    /// The title of the page.
    pub async fn title(&self) -> String {
        self.client().title().await.expect("the page has a title")
    }

    /// Clicks the first element of the selector, once there is one.
    pub async fn click(&self, css: &str) {
        self.until(&format!("something to click at {css}"), async |client| {
            let element = client.find(Locator::Css(css)).await?;
            element.click().await?;
            Ok(Some(()))
        })
        .await;
    }

    /// Replaces what stands in a field.
    pub async fn fill(&self, css: &str, text: &str) {
        self.until(&format!("a field at {css}"), async |client| {
            let element = client.find(Locator::Css(css)).await?;
            element.clear().await?;
            element.send_keys(text).await?;
            Ok(Some(()))
        })
        .await;
    }

    /// Chooses an option of a list by its value.
    pub async fn choose(&self, css: &str, value: &str) {
        self.until(&format!("{value} at {css}"), async |client| {
            client
                .find(Locator::Css(css))
                .await?
                .select_by_value(value)
                .await?;
            Ok(Some(()))
        })
        .await;
    }

    /// Presses keys where the focus is.
    pub async fn press(&self, keys: &str) {
        let element = self.client().active_element().await;
        let pressed = element.expect("something has the focus").send_keys(keys).await;
        pressed.expect("keys can be pressed");
    }

    /// The text of the first element of the selector, as it is shown, once it contains this.
    pub async fn until_text(&self, css: &str, expected: &str) -> String {
        self.until(&format!("`{expected}` at {css}"), async |client| {
            let text = client.find(Locator::Css(css)).await?.text().await?;
            Ok(text.contains(expected).then_some(text))
        })
        .await
    }

    /// Waits until there is no element of the selector.
    pub async fn until_gone(&self, css: &str) {
        self.until(&format!("nothing at {css}"), async |client| {
            Ok(client.find_all(Locator::Css(css)).await?.is_empty().then_some(()))
        })
        .await;
    }

    /// Waits until the path begins so, and answers it.
    pub async fn until_path(&self, expected: &str) -> String {
        self.until(&format!("the address {expected}"), async |client| {
            let url = client.current_url().await?;
            Ok(url.path().starts_with(expected).then(|| url.path().to_owned()))
        })
        .await
    }

    /// How many elements the selector has now.
    pub async fn count(&self, css: &str) -> usize {
        self.all(css).await.len()
    }

    /// The texts of all elements of the selector.
    pub async fn texts(&self, css: &str) -> Vec<String> {
        let mut texts = Vec::new();
        for element in self.all(css).await {
            texts.push(element.text().await.expect("an element has a text"));
        }
        texts
    }

    /// The whole text of the page, as it is shown.
    pub async fn shown(&self) -> String {
        shown(self.client()).await
    }

    /// The page as HTML, as scripts have left it.
    pub async fn html(&self) -> String {
        self.client().source().await.expect("the page has a source")
    }

    /// What a script answers with `return`.
    pub async fn script(&self, script: &str) -> Value {
        let answer = self.client().execute(script, Vec::new()).await;
        answer.unwrap_or_else(|error| panic!("the script failed: {error}\n{script}"))
    }

    /// Whether a dialog such as that of `alert` is open, which means that a script ran that must not.
    pub async fn has_dialog(&self) -> bool {
        self.client().get_alert_text().await.is_ok()
    }

    /// Looks again and again until there is an answer; that an element is missing or was replaced meanwhile is no answer.
    pub async fn until<T>(
        &self,
        what: &str,
        mut look: impl AsyncFnMut(&Client) -> Result<Option<T>, CmdError>,
    ) -> T {
        let begun = Instant::now();
        loop {
            let looked = look(self.client()).await;
            if let Ok(Some(found)) = looked {
                return found;
            }
            if begun.elapsed() > PATIENCE {
                let reason = looked.err().map(|error| error.to_string()).unwrap_or_default();
                let (path, shown) = (self.path().await, self.shown().await);
                let shown: String = shown.chars().take(SHOWN_MAX).collect();
                panic!("waited in vain for {what} on {path} {reason}\n{shown}");
            }
            sleep(LOOK).await;
        }
    }

    async fn all(&self, css: &str) -> Vec<Element> {
        let found = self.client().find_all(Locator::Css(css)).await;
        found.unwrap_or_else(|error| panic!("could not look for {css}: {error}"))
    }
}

async fn shown(client: &Client) -> String {
    match client.find(Locator::Css("body")).await {
        Ok(body) => body.text().await.unwrap_or_default(),
        Err(_) => String::new(),
    }
}
