//! What people do with the console, with scripts and without.

use brokkr_testkit_browser::Browser;

use super::Setting;
use super::setting::LABEL;

const HELLO: &str = "apiVersion: brokkr.io/v1\nkind: Command\nspec:\n  shell: echo hello from the form\n";
const BROKEN: &str = "apiVersion: brokkr.io/v1\nkind: Command\nspec:\n  shell: [unclosed\n";

async fn write_order(browser: &Browser, setting: &Setting, yaml: &str) {
    browser.open(&setting.url("/submit")).await;
    browser.fill_in("YAML", yaml).await;
    browser.fill_in("Labels", LABEL).await;
}

/// The order whose page is shown.
async fn shown_order(browser: &Browser) -> String {
    let path = browser.until_path("/orders/").await;
    path.trim_start_matches("/orders/").to_owned()
}

#[tokio::test]
async fn yaml_that_cannot_be_read_is_refused_at_its_line_and_kept_to_be_mended() {
    let setting = Setting::new().await;
    let _agent = setting.agent().await;
    let browser = setting.administrator().await;
    write_order(&browser, &setting, BROKEN).await;
    browser.press_button("Submit").await;
    browser.until_text("[role=alert]", "line").await;
    let kept = browser
        .script("return document.querySelector('textarea').value")
        .await;
    assert_eq!(kept.as_str().map(str::trim_end), Some(BROKEN.trim_end()));

    browser.fill_in("YAML", HELLO).await;
    browser.press_button("Submit").await;
    let order = shown_order(&browser).await;
    setting.ended(&order).await;
    browser.until_text("#output", "hello from the form").await;
}

#[tokio::test]
async fn without_scripts_an_order_is_submitted_read_and_cancelled() {
    let setting = Setting::new().await;
    let browser = setting.administrator_without_javascript().await;
    write_order(&browser, &setting, HELLO).await;
    browser.press_button("Submit").await;
    let order = shown_order(&browser).await;
    browser.until_text("main", "PENDING").await;
    browser.until_text("main", "hello from the form").await;

    browser.press_button("Cancel").await;
    setting.ended(&order).await;
    browser.open(&setting.url("/orders?state=ENDED")).await;
    browser.until_text("main", &order[..13]).await;
}

#[tokio::test]
async fn all_that_failed_is_retried_after_a_look_at_how_many() {
    let setting = Setting::new().await;
    let agent = setting.agent().await;
    for _ in 0..3 {
        let order = setting.submit("exit 7").await;
        setting.ended(&order).await;
    }
    let order = setting.submit("exit 0").await;
    setting.ended(&order).await;
    drop(agent);

    let browser = setting.administrator().await;
    browser.open(&setting.url("/orders?state=FAILED")).await;
    browser.press_button("Repeat all of the last day").await;
    browser.until_text("main", "3").await;
    browser.press_button("Repeat them").await;
    browser.open(&setting.url("/orders")).await;
    browser
        .until("three orders in the queue", async |_| {
            Ok((browser.count("tbody tr").await == 3).then_some(()))
        })
        .await;
}
