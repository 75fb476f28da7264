//! What the browser tells of pages, each of which has something to tell.

use axum::Router;
use axum::http::header::CONTENT_SECURITY_POLICY;
use axum::response::Html;
use axum::routing::get;
use brokkr_testkit_browser::{Axe, Browser, Settings};
use tokio::net::TcpListener;

const LATE: &str = r#"<!doctype html><html lang=en><title>Late</title><main><h1>Late</h1><p id=state>not yet</p>
    <label>Name <input id=name></label><button hidden>Say</button><button onclick="document.getElementById('state').textContent='said'">Say</button>
    <a href=/other>other</a>
    <label for=colour>Colour</label><select id=colour><option value=a>A<option value=b>B</select></main>
    <script>setTimeout(() => { document.getElementById('state').textContent = 'now'; }, 300);</script>"#;
const DARK: &str =
    "<!doctype html><html lang=en><title>Dark</title><style>p { display: none } @media (prefers-color-scheme: dark) { p { display: block } }</style>
    <p>it is dark</p>";
const UNLABELLED: &str =
    "<!doctype html><html><title>Bad</title><main><h1>Bad</h1><img src='data:,'><input></main>";
const ALARM: &str = "<!doctype html><html lang=en><title>Alarm</title><p>ring</p><script>alert(1)</script>";

async fn serve() -> String {
    let strict = [(CONTENT_SECURITY_POLICY, "default-src 'none'")];
    let pages = Router::new()
        .route("/late", get(async || Html(LATE)))
        .route("/other", get(async || Html("<title>Other</title>other")))
        .route("/dark", get(async || Html(DARK)))
        .route("/unlabelled", get(async || Html(UNLABELLED)))
        .route("/alarm", get(async || Html(ALARM)))
        .route("/strict", get(async move || (strict, Html(ALARM))));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, pages).await });
    format!("http://{address}")
}

#[tokio::test]
async fn a_page_is_read_once_it_shows_what_is_expected_and_can_be_used() {
    let (browser, url) = (Browser::start().await, serve().await);
    browser.open(&format!("{url}/late")).await;
    assert_eq!(browser.title().await, "Late");
    browser.until_text("#state", "now").await;
    browser.fill_in("Name", "smith").await;
    browser.pick("Colour", "b").await;
    let values = browser
        .script("return document.getElementById('name').value + document.getElementById('colour').value")
        .await;
    assert_eq!(values, "smithb");
    browser.press_button("Say").await;
    browser.until_text("#state", "said").await;
    browser.follow("other").await;
    assert_eq!(browser.until_path("/other").await, "/other");
}

#[tokio::test]
async fn both_themes_and_narrow_windows_can_be_looked_at() {
    let (browser, url) = (Browser::start().await, serve().await);
    browser.resize(390, 844).await;
    browser.open(&format!("{url}/dark")).await;
    assert_eq!(browser.script("return innerWidth").await, 390);
    assert_eq!(browser.shown().await, "");
    browser.like(brokkr_testkit_browser::Theme::Dark).await;
    browser.until_text("p", "it is dark").await;
}

#[tokio::test]
async fn a_script_that_runs_is_noticed_and_so_is_one_that_the_policy_refuses() {
    let (browser, url) = (Browser::start().await, serve().await);
    browser.open(&format!("{url}/alarm")).await;
    assert!(browser.has_dialog().await);
    browser.client().accept_alert().await.expect("there is a dialog");

    browser.open(&format!("{url}/strict")).await;
    browser.until_text("p", "ring").await;
    assert!(!browser.has_dialog().await);
    let complaints = browser.complaints().await;
    assert!(
        complaints
            .iter()
            .any(|complaint| complaint.contains("Content Security Policy")),
        "{complaints:?}"
    );
}

#[tokio::test]
async fn a_browser_without_javascript_runs_none() {
    let settings = Settings {
        without_javascript: true,
    };
    let (browser, url) = (Browser::start_with(settings).await, serve().await);
    browser.open(&format!("{url}/alarm")).await;
    assert!(!browser.has_dialog().await);
    assert_eq!(browser.shown().await, "ring");
    browser.open(&format!("{url}/late")).await;
    browser.click("a").await;
    browser.until_path("/other").await;
}

mod accessibility {
    use super::*;

    #[tokio::test]
    async fn what_a_page_has_against_screen_readers_is_found() {
        let axe = Axe::get().expect("axe-core");
        let (browser, url) = (Browser::start().await, serve().await);
        browser.open(&format!("{url}/unlabelled")).await;
        let findings = browser.findings(axe).await;
        let rules: Vec<&str> = findings.iter().map(|finding| finding.rule.as_str()).collect();
        assert_eq!(rules, ["html-has-lang", "image-alt", "label"], "{findings:?}");
    }
}
