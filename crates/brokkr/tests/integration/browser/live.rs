//! What changes on a page while somebody looks at it.

use std::time::Duration;

use super::Setting;
use crate::world::{World, until};

/// Ends with code 3 once the file `go` is there.
fn waits_for_go(world: &World) -> String {
    let (root, go) = (world.root().display(), world.path("go").display().to_string());
    format!(
        "echo the-beginning\nn=0\n\
         while [ -d {root} ] && [ ! -e {go} ] && [ $n -lt 1200 ]; do sleep 0.05; n=$((n+1)); done\necho the-\"end\"\nexit 3"
    )
}

const MARK: &str = "window.brokkrTestMark = 7";
/// A page that was loaded again would have forgotten it.
const MARKED: &str = "return window.brokkrTestMark";

#[tokio::test]
async fn a_new_order_appears_and_its_state_changes_without_a_reload() {
    let setting = Setting::new().await;
    let browser = setting.administrator().await;
    browser.open(&setting.url("/orders")).await;
    browser.until_text("h1", "Orders").await;
    browser.script(MARK).await;

    let order = setting.submit(&waits_for_go(&setting.world)).await;
    let row = format!("main a[href*='{order}']");
    browser.until_text(&row, "").await;
    browser.until_text("main", "PENDING").await;
    let _agent = setting.agent().await;
    browser.until_text("main", "CLAIMED").await;
    assert_eq!(browser.script(MARKED).await, 7, "the page was loaded again");
    setting.world.file("go", "");
}

#[tokio::test]
async fn a_page_that_hears_of_no_changes_looks_by_itself_now_and_then() {
    let setting = Setting::new().await;
    let browser = setting.administrator().await;
    browser.refuse("*/console/live/changes*").await;
    browser.open(&setting.url("/orders")).await;
    browser.until_text("#list", "There are none").await;
    browser.script(MARK).await;
    // Beyond the look that follows a stream that did not begin.
    tokio::time::sleep(Duration::from_secs(2)).await;

    let order = setting.submit_for("true", "nobody").await;
    browser.until_text(&format!("main a[href*='{order}']"), "").await;
    assert_eq!(browser.script(MARKED).await, 7, "the page was loaded again");
}

#[tokio::test]
async fn output_follows_and_so_does_the_ending() {
    let setting = Setting::new().await;
    let _agent = setting.agent().await;
    let order = setting.submit(&waits_for_go(&setting.world)).await;
    let browser = setting.administrator().await;
    browser.open(&setting.url(&format!("/orders/{order}"))).await;
    browser.until_text("#output", "the-beginning").await;
    assert!(!browser.shown().await.contains("the-end"));
    browser.script(MARK).await;

    setting.world.file("go", "");
    browser.until_text("#output", "the-end").await;
    browser.until_text("main", "FAILED").await;
    assert_eq!(browser.script(MARKED).await, 7, "the page was loaded again");
}

#[tokio::test]
async fn the_overview_counts_what_waits_without_a_reload() {
    let setting = Setting::new().await;
    let browser = setting.administrator().await;
    browser.script(MARK).await;
    setting.submit_waiting(437).await;
    browser.until_text("main", "437").await;
    assert_eq!(browser.script(MARKED).await, 7, "the page was loaded again");
}

#[tokio::test]
async fn cancelling_stops_the_command_that_runs() {
    let setting = Setting::new().await;
    let _agent = setting.agent().await;
    let pid_file = setting.world.path("pid").display().to_string();
    let order = setting
        .submit(&format!(
            "echo $$ > {pid_file}.new; mv {pid_file}.new {pid_file}; sleep 600"
        ))
        .await;
    let pid = until("the command runs", async || {
        setting.world.lines("pid").first().cloned()
    })
    .await;
    let process = format!("/proc/{pid}");
    assert!(std::path::Path::new(&process).exists());

    let browser = setting.administrator().await;
    browser.open(&setting.url(&format!("/orders/{order}"))).await;
    browser.press_button("Cancel").await;
    setting.ended(&order).await;
    browser.until_text("main", "CANCELLED").await;
    until("the end of the command", async || {
        (!std::path::Path::new(&process).exists()).then_some(())
    })
    .await;
}
