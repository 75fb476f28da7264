//! What people do with webhooks.

use brokkr_client::api::{CreateWebhook, ListWebhooks};
use brokkr_testkit_browser::Browser;

use super::Setting;
use super::receiver::Receiver;

/// Makes a webhook by the form, keeps its secret and goes to its page.
async fn make(browser: &Browser, setting: &Setting, url: &str) {
    browser.open(&setting.url("/webhooks")).await;
    browser.fill_in("Name", "deploy-bot").await;
    browser.fill_in("URL", url).await;
    browser
        .fill_in("Events", "work_order.failed work_order.lost")
        .await;
    browser.press_button("Make it").await;
    browser.until_text("#secret", "whsec_").await;
    browser.follow("I have kept it").await;
    browser.until_text("h1", "Webhook deploy-bot").await;
}

#[tokio::test]
async fn a_webhook_is_made_tried_and_what_failed_is_sent_again_without_a_reload() {
    let setting = Setting::new().await;
    let receiver = Receiver::start("no, thank you").await;
    let browser = setting.administrator().await;
    make(&browser, &setting, &receiver.url).await;
    assert!(
        !browser.html().await.contains("whsec_"),
        "the secret is shown once"
    );

    receiver.answers(400);
    browser.press_button("Send a test").await;
    browser.until_text("h1", "Delivery").await;
    browser.until_text("#state", "FAILED").await;
    browser.until_text("#state", "no, thank you").await;
    receiver.answers(200);
    browser.press_button("Send again").await;
    browser.until_text("#state", "DELIVERED").await;

    browser.follow("deploy-bot").await;
    browser.until_text("#deliveries", "answered 200").await;
    browser.tick("also what was delivered").await;
    browser.press_button("Send them again").await;
    browser.until_text("main", "1 deliveries are sent again").await;
}

#[tokio::test]
async fn without_scripts_a_webhook_is_refused_mended_disabled_and_deleted() {
    let setting = Setting::new().await;
    let browser = setting.administrator_without_javascript().await;
    browser.open(&setting.url("/webhooks")).await;
    browser.fill_in("Name", "deploy-bot").await;
    browser.fill_in("URL", "ftp://hooks.example.com").await;
    browser.fill_in("Events", "*").await;
    browser.press_button("Make it").await;
    browser.until_text("[role=alert]", "https://").await;
    browser.fill_in("URL", "https://hooks.example.com").await;
    browser.press_button("Make it").await;
    browser.follow("I have kept it").await;

    browser.press_button("Disable").await;
    browser.until_text("#reason", "disabled by").await;
    browser.press_button("Enable for what is new").await;
    browser.until_text("#state", "enabled").await;
    browser.press_button("Delete it").await;
    browser.press_button("Delete").await;
    browser.until_text("h1", "Webhooks").await;
    browser.until_text("#list", "There are none").await;
}

#[tokio::test]
async fn a_viewer_sees_webhooks_and_has_nothing_to_act_with() {
    let setting = Setting::new().await;
    let webhook = CreateWebhook {
        name: "deploy-bot".to_owned(),
        url: "https://hooks.example.com/brokkr".to_owned(),
        event_types: vec!["*".to_owned()],
        auth_header: Some("Bearer of-the-receiver".to_owned()),
        ..CreateWebhook::default()
    };
    let created = setting
        .client()
        .create_webhook(&webhook)
        .await
        .expect("it is taken");
    let test = setting
        .client()
        .test_webhook(created.webhook.id)
        .await
        .expect("it is taken");
    let browser = setting.viewer().await;
    let page = format!("/webhooks/{}", created.webhook.id);
    for page in ["/webhooks", &page, &format!("{page}/deliveries/{}", test.id)] {
        browser.open(&setting.url(page)).await;
        browser.until_text("main", "deploy-bot").await;
        assert_eq!(
            browser.count("main form[method=post]").await,
            0,
            "{page} lets a viewer act"
        );
        assert!(!browser.html().await.contains("of-the-receiver"), "{page}");
    }
    let left = setting.client().webhooks(&ListWebhooks::default()).await;
    assert_eq!(left.expect("a list").items.len(), 1);
}
