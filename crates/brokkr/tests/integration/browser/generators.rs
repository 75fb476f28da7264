//! What people do with generators.

use super::Setting;

#[tokio::test]
async fn a_generator_is_made_given_a_new_key_and_deleted() {
    let setting = Setting::new().await;
    let browser = setting.administrator().await;
    browser.open(&setting.url("/generators")).await;
    browser.fill_in("Name", "nightly-reports").await;
    browser
        .fill_in("Description", "Reports for the finance team")
        .await;
    browser.press_button("Make it").await;
    let first = browser.until_text("#secret", "brokkr_BR").await;
    browser.follow("I have kept it").await;
    browser.until_text("main", "Reports for the finance team").await;

    browser.press_button("Make a new PAK").await;
    let second = browser.until_text("#secret", "brokkr_BR").await;
    assert_ne!(first, second);
    browser.follow("I have kept it").await;
    browser.press_button("Change it").await;
    browser.fill_in("Name", "weekly-reports").await;
    browser.press_button("Change").await;
    browser.until_text("h1", "weekly-reports").await;
    browser.press_button("Delete it").await;
    browser.press_button("Delete").await;
    browser.until_text("#list", "There are none").await;
}
