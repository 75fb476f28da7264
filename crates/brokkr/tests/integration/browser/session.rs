//! Who gets in, and until when.

use brokkr_testkit_browser::Browser;

use super::Setting;

#[tokio::test]
async fn nothing_is_shown_before_sign_in_and_the_page_that_was_asked_for_afterwards() {
    let setting = Setting::new().await;
    let order = setting.submit_for("echo secret-of-the-order", "nobody").await;
    let browser = Browser::start().await;

    browser.open(&setting.url(&format!("/orders/{order}"))).await;
    browser.until_path("/sign-in").await;
    assert!(!browser.html().await.contains("secret-of-the-order"));

    browser
        .fill_in("PAK", "brokkr_BRwrong_wrongwrongwrongwrongwrong")
        .await;
    browser.press_button("Sign in").await;
    browser.until_text("[role=alert]", "").await;
    assert!(browser.path().await.starts_with("/sign-in"));

    browser.fill_in("PAK", &setting.admin_pak()).await;
    browser.press_button("Sign in").await;
    browser.until_path(&format!("/orders/{order}")).await;
    browser.until_text("main", "secret-of-the-order").await;
}

#[tokio::test]
async fn the_key_of_an_agent_opens_no_console() {
    let setting = Setting::new().await;
    let _agent = setting.agent().await;
    let pak = std::fs::read_to_string(setting.world.path("runner.pak")).expect("the agent has a PAK");
    let browser = Browser::start().await;

    browser.open(&setting.url("/sign-in")).await;
    browser.fill_in("PAK", pak.trim()).await;
    browser.press_button("Sign in").await;
    browser.until_text("[role=alert]", "").await;
    browser.open(&setting.url("/orders")).await;
    browser.until_path("/sign-in").await;
}

#[tokio::test]
async fn whoever_signs_out_is_out_even_if_they_go_back() {
    let setting = Setting::new().await;
    let browser = setting.administrator().await;
    browser.open(&setting.url("/orders")).await;
    browser.until_text("h1", "Orders").await;

    browser.press_button("Sign out").await;
    browser.until_path("/sign-in").await;
    browser.client().back().await.expect("there is a page before");
    browser.until_path("/sign-in").await;
    browser.open(&setting.url("/orders")).await;
    browser.until_path("/sign-in").await;
}

#[tokio::test]
async fn a_revoked_key_ends_its_session() {
    let setting = Setting::new().await;
    let browser = Browser::start().await;
    let (pak, short) = setting.viewer_pak("short-lived").await;
    setting.sign_in(&browser, &pak).await;

    setting.client().delete_pak(&short).await.expect("it is revoked");
    // Replicas remember a key for a moment.
    browser
        .until("the sign-in page", async |client| {
            client.goto(&setting.url("/orders")).await?;
            let url = client.current_url().await?;
            Ok(url.path().starts_with("/sign-in").then_some(()))
        })
        .await;
}

#[tokio::test]
async fn a_viewer_sees_and_has_nothing_to_act_with() {
    let setting = Setting::new().await;
    let _agent = setting.agent().await;
    let order = setting.submit_for("echo hello", "nobody").await;
    let browser = setting.viewer().await;

    browser.open(&setting.url(&format!("/orders/{order}"))).await;
    browser.until_text("main", &order).await;
    assert!(!browser.has_button("Cancel").await);
    for page in [
        "/",
        "/orders",
        "/orders?state=FAILED",
        "/log",
        "/agents",
        "/submit",
        "/generators",
        "/webhooks",
    ] {
        browser.open(&setting.url(page)).await;
        let forms = "main form[method=post]";
        assert_eq!(browser.count(forms).await, 0, "{page} lets a viewer act");
    }
}
