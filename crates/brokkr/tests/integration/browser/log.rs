//! What people look for in the log, and take away.

use super::Setting;

#[tokio::test]
async fn the_log_is_narrowed_by_a_form_and_what_it_finds_is_taken_away_as_a_file() {
    let setting = Setting::new().await;
    let agent = setting.agent().await;
    let failed = setting.submit("exit 7").await;
    setting.ended(&failed).await;
    let succeeded = setting.submit("exit 0").await;
    setting.ended(&succeeded).await;
    drop(agent);

    let browser = setting.viewer().await;
    browser.open(&setting.url("/log")).await;
    browser.until_text("#list", &succeeded[..13]).await;
    browser.pick("Ending", "failed").await;
    browser.press_button("Show").await;
    browser
        .until_text("main a[href*='export.csv?ending=failed']", "CSV")
        .await;
    browser.until_text("#list", "exit code 7").await;
    assert_eq!(browser.count("#list tbody tr").await, 1);

    let file = browser
        .script(
            "return fetch(document.querySelector('main a[href*=csv]').href).then((answer) => answer.text())",
        )
        .await;
    let file = file.as_str().expect("a text");
    assert!(file.contains(&failed) && !file.contains(&succeeded), "{file}");

    browser.fill_in("Since", "yesterday").await;
    browser.press_button("Show").await;
    browser.until_text("[role=alert]", "since").await;
}

#[tokio::test]
async fn an_order_appears_in_the_log_without_a_reload_and_leads_to_its_page() {
    let setting = Setting::new().await;
    let browser = setting.administrator().await;
    browser.open(&setting.url("/log")).await;
    browser.until_text("#list", "There are none").await;
    let _agent = setting.agent().await;
    let order = setting.submit("echo done; exit 0").await;
    browser.until_text("#list", "succeeded").await;
    browser.follow(&order[..13]).await;
    browser.until_path(&format!("/orders/{order}")).await;
}
