//! Much of everything, on a page that still answers.

use std::time::{Duration, Instant};

use super::Setting;

/// More elements than any page needs that shows a hundred orders or a window of output.
const ELEMENTS_MAX: u64 = 20_000;
/// How long a click may take until something happened, on a busy host.
const ANSWER_MAX: Duration = Duration::from_secs(5);

async fn elements(browser: &brokkr_testkit_browser::Browser) -> u64 {
    let count = browser
        .script("return document.getElementsByTagName('*').length")
        .await;
    count.as_u64().expect("a number")
}

#[tokio::test]
async fn ten_thousand_orders_are_paged_and_the_page_stays_small() {
    let setting = Setting::new().await;
    setting.submit_waiting(10_000).await;
    let browser = setting.administrator().await;

    for page in ["/", "/orders"] {
        let begun = Instant::now();
        browser.open(&setting.url(page)).await;
        browser.until_text("h1", "").await;
        assert!(begun.elapsed() < ANSWER_MAX, "{page} took {:?}", begun.elapsed());
        assert!(elements(&browser).await < ELEMENTS_MAX, "{page}");
    }
    browser.open(&setting.url("/")).await;
    browser.until_text("main", "10,000").await;
}

#[tokio::test]
async fn a_hundred_thousand_lines_of_output_are_followed_and_the_page_still_answers() {
    let setting = Setting::new().await;
    let _agent = setting.agent().await;
    let order = setting.submit("seq 1 100000; echo the-last-line").await;
    setting.ended(&order).await;
    let browser = setting.administrator().await;

    browser.open(&setting.url(&format!("/orders/{order}"))).await;
    browser.until_text("#output", "the-last-line").await;
    assert!(elements(&browser).await < ELEMENTS_MAX);
    let begun = Instant::now();
    browser.follow("Orders").await;
    browser.until_text("h1", "Orders").await;
    assert!(begun.elapsed() < ANSWER_MAX, "it took {:?}", begun.elapsed());
}
