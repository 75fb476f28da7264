//! Pictures of each page in both themes, in `target/screenshots`, for people to look at.

use brokkr_testkit_browser::Browser;

use super::scene::Scene;

/// High enough for the plots of the overview.
const WIDE: (u32, u32) = (1280, 960);
const NARROW: (u32, u32) = (390, 844);

#[tokio::test]
async fn each_page_can_be_looked_at_in_both_themes() {
    let scene = Scene::new().await;
    let browser = Browser::start().await;
    browser.open(&scene.setting.url("/sign-in")).await;
    browser.resize(WIDE.0, WIDE.1).await;
    let mut written = browser.photograph("sign-in").await;
    scene.setting.sign_in(&browser, &scene.setting.admin_pak()).await;
    for (page, path) in scene.pages() {
        browser.open(&scene.setting.url(&path)).await;
        browser.until_text("h1", "").await;
        written.extend(browser.photograph(page).await);
        browser.resize(NARROW.0, NARROW.1).await;
        written.extend(browser.photograph(&format!("{page}-narrow")).await);
        browser.resize(WIDE.0, WIDE.1).await;
    }
    scene.look_at_cancelling_many(&browser).await;
    written.extend(browser.photograph("cancel-many").await);
    scene.look_at_sending_elsewhere(&browser).await;
    written.extend(browser.photograph("send-elsewhere").await);
    scene.look_at_folded_output(&browser).await;
    written.extend(browser.photograph("output-folded").await);
    for path in written {
        let size = std::fs::metadata(&path).expect("the picture is there").len();
        assert!(size > 5_000, "{} shows nothing", path.display());
    }
}
