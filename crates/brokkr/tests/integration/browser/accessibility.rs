//! Each page for people who use a keyboard or a screen reader, or whose sight is weak: in both themes, wide and narrow.

use brokkr_testkit_browser::{Axe, Browser, Theme};

use super::scene::Scene;

const SIZES: [(u32, u32); 2] = [(1280, 900), (390, 844)];

#[tokio::test]
async fn no_page_has_a_serious_finding() {
    let axe = Axe::get().unwrap_or_else(|error| panic!("{error}"));
    let scene = Scene::new().await;
    let browser = Browser::start().await;
    browser.open(&scene.setting.url("/sign-in")).await;
    let mut findings = look(&browser, axe, "sign-in").await;
    scene.setting.sign_in(&browser, &scene.setting.admin_pak()).await;
    for (page, path) in scene.pages() {
        browser.open(&scene.setting.url(&path)).await;
        findings.extend(look(&browser, axe, page).await);
    }
    scene.look_at_cancelling_many(&browser).await;
    findings.extend(look(&browser, axe, "cancel-many").await);
    scene.look_at_sending_elsewhere(&browser).await;
    findings.extend(look(&browser, axe, "send-elsewhere").await);
    scene.look_at_folded_output(&browser).await;
    findings.extend(look(&browser, axe, "output-folded").await);
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

async fn look(browser: &Browser, axe: Axe, page: &str) -> Vec<String> {
    browser.until_text("h1", "").await;
    let mut findings = Vec::new();
    for (theme, (width, height)) in [
        (Theme::Light, SIZES[0]),
        (Theme::Dark, SIZES[0]),
        (Theme::Light, SIZES[1]),
    ] {
        browser.resize(width, height).await;
        browser.like(theme).await;
        for finding in browser.findings(axe).await {
            findings.push(format!("{page}, {}, {width} wide: {finding:?}", theme.name()));
        }
        let too_wide = browser
            .script("return document.documentElement.scrollWidth > innerWidth + 1")
            .await;
        if too_wide == true {
            findings.push(format!("{page}, {width} wide: the page is wider than the window"));
        }
    }
    browser.resize(SIZES[0].0, SIZES[0].1).await;
    browser.like(Theme::Light).await;
    findings
}

#[tokio::test]
async fn the_first_tab_leads_past_the_navigation_and_the_focus_is_seen() {
    let scene = Scene::new().await;
    let browser = scene.setting.administrator().await;
    browser.open(&scene.setting.url("/orders")).await;
    browser.press("\u{e004}").await;
    let skip = browser
        .script("return document.activeElement.getAttribute('href')")
        .await;
    assert_eq!(skip, "#main", "the first stop is the link to the content");
    let outline = browser
        .script("return getComputedStyle(document.activeElement).outlineStyle")
        .await;
    assert_ne!(outline, "none", "the focus is seen");
}
