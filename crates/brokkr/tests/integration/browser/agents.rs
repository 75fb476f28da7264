//! What people do with agents.

use super::Setting;
use super::setting::LABEL;

#[tokio::test]
async fn an_agent_is_made_resumed_marked_and_deleted() {
    let setting = Setting::new().await;
    let browser = setting.administrator().await;
    browser.open(&setting.url("/agents")).await;
    browser.fill_in("Name", "eu-west-1").await;
    browser.fill_in("Cluster", "production").await;
    browser.press_button("Make it").await;
    let pak = browser.until_text("#secret", "brokkr_BR").await;
    browser.follow("I have kept it").await;
    browser.until_text("#state", "paused").await;
    assert!(!browser.html().await.contains(&pak), "the PAK is shown once");

    browser.press_button("Resume").await;
    browser.until_text("#state", "never seen").await;
    browser.fill_in("New label", "gpu").await;
    browser.press_button("Add the label").await;
    browser.until_text(".marks", "gpu").await;
    browser.fill_in("New annotation", "region").await;
    browser.fill_in("Value", "eu-west").await;
    browser.press_button("Add the annotation").await;
    browser
        .until_text("[aria-label=Annotations] .marks", "region=eu-west")
        .await;
    browser.click("[aria-label='Take the label gpu away']").await;
    browser.until_text("[aria-label=Labels]", "It has none").await;
    browser
        .click("[aria-label='Take the annotation region=eu-west away']")
        .await;
    browser
        .until_text("[aria-label=Annotations]", "It has none")
        .await;

    browser.press_button("Change it").await;
    browser.fill_in("Name", "eu-west-2").await;
    browser.press_button("Change").await;
    browser.until_text("h1", "eu-west-2").await;
    browser.press_button("Delete it").await;
    browser.press_button("Delete").await;
    browser.until_text("#list", "There are none").await;
}

#[tokio::test]
async fn what_an_agent_runs_appears_on_its_page_without_a_reload() {
    let setting = Setting::new().await;
    let _agent = setting.agent().await;
    let page = format!("/agents/{}", setting.agent_id("runner").await);
    let browser = setting.viewer().await;
    browser.open(&setting.url(&page)).await;
    browser.until_text("#held", "It holds no orders").await;
    browser.until_text(".marks", LABEL).await;
    assert_eq!(browser.count("main form[method=post]").await, 0, "a viewer acts");

    let order = setting.submit("sleep 600").await;
    browser
        .until_text(&format!("#held a[href='/orders/{order}']"), &order[..13])
        .await;
    browser.until_text("#held", "Lease until").await;
    browser.follow(&order[..13]).await;
    browser.until_path(&format!("/orders/{order}")).await;
}
