//! Controls by the names that people read, or hear from a screen reader: a test that finds them shows that they have one.

use fantoccini::Locator;
use fantoccini::elements::Element;
use fantoccini::error::CmdError;

use crate::browser::Browser;

/// Something on a page that has a name.
#[derive(Debug, Clone, Copy)]
enum Named<'a> {
    Button(&'a str),
    Link(&'a str),
    Field(&'a str),
}

impl Browser {
    /// Presses the button with this text.
    pub async fn press_button(&self, name: &str) {
        self.click_named(Named::Button(name)).await;
    }

    /// Follows the first link with this text.
    pub async fn follow(&self, name: &str) {
        self.click_named(Named::Link(name)).await;
    }

    /// Whether there is a button with this text now.
    pub async fn has_button(&self, name: &str) -> bool {
        let path = Named::Button(name).path();
        let found = self.client().find_all(Locator::XPath(&path)).await;
        found.is_ok_and(|found| !found.is_empty())
    }

    /// Replaces what stands in the field whose label begins so.
    pub async fn fill_in(&self, label: &str, text: &str) {
        self.use_named(Named::Field(label), async |field| {
            field.clear().await?;
            field.send_keys(text).await
        })
        .await;
    }

    /// Chooses an option by its value in the list whose label begins so.
    pub async fn pick(&self, label: &str, value: &str) {
        self.use_named(Named::Field(label), async |field| {
            field.select_by_value(value).await
        })
        .await;
    }

    /// Sets or clears the box whose label begins so.
    pub async fn tick(&self, label: &str) {
        self.click_named(Named::Field(label)).await;
    }

    async fn click_named(&self, named: Named<'_>) {
        self.use_named(named, async |element| element.click().await).await;
    }

    async fn use_named(&self, named: Named<'_>, act: impl AsyncFn(Element) -> Result<(), CmdError>) {
        let path = named.path();
        self.until(&format!("{named:?}"), async |client| {
            for element in client.find_all(Locator::XPath(&path)).await? {
                if element.is_displayed().await? {
                    act(element).await?;
                    return Ok(Some(()));
                }
            }
            Ok(None)
        })
        .await;
    }
}

impl Named<'_> {
    /// None of the names that tests use has an apostrophe.
    fn path(self) -> String {
        match self {
            Named::Button(name) => format!(
                "//button[normalize-space(.)='{name}'] | //input[@type='submit' and @value='{name}'] \
                 | //summary[normalize-space(.)='{name}']"
            ),
            Named::Link(name) => format!("//a[normalize-space(.)='{name}']"),
            Named::Field(label) => {
                let label = format!("//label[starts-with(normalize-space(.),'{label}')]");
                format!("//*[@id={label}/@for] | {label}//*[self::input or self::textarea or self::select]")
            }
        }
    }
}
