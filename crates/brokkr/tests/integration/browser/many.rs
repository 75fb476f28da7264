//! Lists that are narrowed, what is done with many orders at once, and orders that are sent elsewhere.

use std::time::{Duration, Instant};

use brokkr_testkit_browser::Browser;

use super::Setting;
use super::setting::LABEL;

/// Sooner than a page looks that hears of no change.
const HEARD_WITHIN: Duration = Duration::from_secs(9);
const CHANGES: usize = 4;

async fn until_rows(browser: &Browser, expected: usize) {
    browser
        .until(&format!("{expected} orders"), async |_| {
            Ok((browser.count("#list tbody tr").await == expected).then_some(()))
        })
        .await;
}

fn row(order: &str) -> String {
    format!("#list a[href='/orders/{order}']")
}

fn tick(order: &str) -> String {
    format!("#list input[value='{order}']")
}

async fn narrow_and_cancel(setting: &Setting, browser: &Browser) {
    let old = setting.submit_for("echo old", "old").await;
    let other = setting.submit_for("echo needle", "other").await;
    browser.open(&setting.url("/orders")).await;
    until_rows(browser, 2).await;
    browser.fill_in("Label", "old").await;
    browser.press_button("Show").await;
    until_rows(browser, 1).await;
    browser.until_text(&row(&old), "").await;

    browser.follow("All").await;
    until_rows(browser, 2).await;
    browser.fill_in("Text", "NEEDLE").await;
    browser.pick("State", "PENDING").await;
    browser.press_button("Show").await;
    until_rows(browser, 1).await;
    browser.until_text(&row(&other), "").await;

    browser.press_button("Cancel all of these").await;
    browser.until_text("main", "1 order can be cancelled").await;
    browser.fill_in("Reason", "a mistake").await;
    browser.press_button("Cancel them").await;
    setting.ended(&other).await;
    until_rows(browser, 0).await;
    browser.open(&setting.url("/orders")).await;
    until_rows(browser, 1).await;
    browser.open(&setting.url(&format!("/orders/{other}"))).await;
    browser.until_text("main", "a mistake").await;
}

#[tokio::test]
async fn a_list_is_narrowed_and_all_that_it_shows_is_cancelled() {
    let setting = Setting::new().await;
    let browser = setting.administrator().await;
    narrow_and_cancel(&setting, &browser).await;
}

#[tokio::test]
async fn without_scripts_a_list_is_narrowed_and_all_that_it_shows_is_cancelled() {
    let setting = Setting::new().await;
    let browser = setting.administrator_without_javascript().await;
    narrow_and_cancel(&setting, &browser).await;
}

#[tokio::test]
async fn what_is_ticked_stays_ticked_while_the_list_changes_and_is_cancelled_and_repeated() {
    let setting = Setting::new().await;
    let [one, two] = [
        setting.submit_for("true", "nobody").await,
        setting.submit_for("true", "nobody").await,
    ];
    let browser = setting.administrator().await;
    browser.open(&setting.url("/orders")).await;
    until_rows(&browser, 2).await;
    browser.click(&tick(&one)).await;
    let three = setting.submit_for("true", "nobody").await;
    until_rows(&browser, 3).await;
    browser.click(&tick(&three)).await;

    browser.press_button("Cancel the chosen").await;
    browser.until_text("main", "2 orders can be cancelled").await;
    browser.press_button("Cancel them").await;
    for order in [&one, &three] {
        setting.ended(order).await;
    }
    until_rows(&browser, 1).await;
    browser.until_text(&row(&two), "").await;

    browser.open(&setting.url("/orders?state=CANCELLED")).await;
    until_rows(&browser, 2).await;
    browser.click(&tick(&one)).await;
    browser.press_button("Repeat the chosen").await;
    browser.until_text("main", "1 order ended").await;
    browser.press_button("Repeat them").await;
    until_rows(&browser, 2).await;
}

#[tokio::test]
async fn an_order_that_waits_for_nobody_is_sent_elsewhere_and_runs() {
    let setting = Setting::new().await;
    let _agent = setting.agent().await;
    let order = setting.submit_for("echo it-runs", "prodution").await;
    let browser = setting.administrator().await;
    browser.open(&setting.url(&format!("/orders/{order}"))).await;
    browser.press_button("Send it elsewhere").await;
    browser.fill_in("Labels", LABEL).await;
    browser.press_button("Send it there").await;
    setting.ended(&order).await;
    browser.until_text("#output", "it-runs").await;
    browser.until_text("#whom", LABEL).await;
    browser.until_gone("#elsewhere").await;
}

#[tokio::test]
async fn a_page_hears_of_each_change_and_does_not_wait_for_its_next_look() {
    let setting = Setting::new().await;
    let browser = setting.administrator().await;
    browser.open(&setting.url("/orders")).await;
    browser.until_text("#list", "There are none").await;
    for number in 1..=CHANGES {
        setting.submit_for("true", "nobody").await;
        let begun = Instant::now();
        until_rows(&browser, number).await;
        assert!(begun.elapsed() < HEARD_WITHIN, "it took {:?}", begun.elapsed());
    }
}
