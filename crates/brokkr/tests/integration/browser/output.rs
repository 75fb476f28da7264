//! What an order printed, where it is too much to show, and where it is searched.

use brokkr_client::api::{
    AppendOutput, CreateWorkOrder, OutputChunk, PakText, TargetingRequest, Time, WorkOrder,
};
use brokkr_client::{Client, ClientConfig};
use brokkr_testkit_browser::Browser;

use super::Setting;

const GAP_BEFORE: &str = "#output > .gap";
const FOLD: &str = "#output span > .gap";
/// All lines of the output that the page has, folded or not, without what the page says itself.
const LINES: &str =
    "return [...document.querySelectorAll('#output > span > span')].map((line) => line.textContent).join('')";
/// Those that are not folded.
const OPEN_LINES: &str = "return [...document.querySelectorAll('#output > span > span:not([hidden])')].map((line) => line.textContent).join('')";

async fn text(browser: &Browser, script: &str) -> String {
    let text = browser.script(script).await;
    text.as_str().expect("a text").to_owned()
}

fn lines(from: u32, to: u32) -> String {
    (from..=to)
        .map(|number| format!("Zeile {number} – über\n"))
        .collect()
}

/// The page of an order that has printed that many lines.
async fn page_of(setting: &Setting, browser: &Browser, script: &str) {
    let order = setting.submit(script).await;
    setting.ended(&order).await;
    browser.open(&setting.url(&format!("/orders/{order}"))).await;
}

#[tokio::test]
async fn lines_that_are_too_many_to_show_are_a_gap_that_opens_page_by_page_up_to_the_first() {
    let setting = Setting::new().await;
    let _agent = setting.agent().await;
    let browser = setting.viewer().await;
    page_of(&setting, &browser, "seq -f 'Zeile %g – über' 1 5000").await;

    browser
        .until_text(GAP_BEFORE, "3,000 lines before these: show 2,000 of them")
        .await;
    assert_eq!(text(&browser, LINES).await, lines(3_001, 5_000));
    browser.click(GAP_BEFORE).await;
    browser
        .until_text(GAP_BEFORE, "1,000 lines before these: show 1,000 of them")
        .await;
    assert_eq!(text(&browser, LINES).await, lines(1_001, 5_000));
    browser.click(GAP_BEFORE).await;
    browser.until_gone(GAP_BEFORE).await;
    assert_eq!(text(&browser, LINES).await, lines(1, 5_000));
}

#[tokio::test]
async fn lines_around_what_is_found_stay_and_the_rest_is_folded_until_it_is_opened() {
    let setting = Setting::new().await;
    let _agent = setting.agent().await;
    let browser = setting.viewer().await;
    let script = "seq -f 'Zeile %g – über' 1 100; echo Needle; seq -f 'Zeile %g – über' 101 200";
    page_of(&setting, &browser, script).await;
    browser.until_text("#output", "Zeile 200").await;

    browser.fill_in("Search", "needle").await;
    browser.until_text("#output-said", "1 line").await;
    assert_eq!(browser.count(FOLD).await, 0, "nothing is folded unasked");
    browser.tick("Fold the rest").await;
    browser.until_text(FOLD, "98 lines").await;
    assert_eq!(browser.texts(FOLD).await, ["98 lines", "98 lines"]);
    let around = format!("{}Needle\n{}", lines(99, 100), lines(101, 102));
    assert_eq!(text(&browser, OPEN_LINES).await, around);

    browser.click(FOLD).await;
    assert_eq!(browser.texts(FOLD).await, ["98 lines"]);
    let opened = format!("{}Needle\n{}", lines(1, 100), lines(101, 102));
    assert_eq!(text(&browser, OPEN_LINES).await, opened);
    browser.fill_in("Search", "Zeile 20 ").await;
    browser.until_text(FOLD, "17 lines").await;
    browser.tick("Fold the rest").await;
    browser.until_gone(FOLD).await;
    let all = format!("{}Needle\n{}", lines(1, 100), lines(101, 200));
    assert_eq!(text(&browser, OPEN_LINES).await, all);
}

/// Somebody who runs orders by hand.
struct Hand {
    client: Client,
    id: uuid::Uuid,
}

impl Hand {
    async fn new(setting: &Setting) -> Hand {
        let (world, pak_file) = (&setting.world, setting.world.path("hand.pak"));
        let args = [
            "create",
            "agent",
            "hand",
            "--save-pak",
            &pak_file.display().to_string(),
        ];
        setting.broker.run(world, &args).await.with_code(0);
        let pak = std::fs::read_to_string(&pak_file).expect("the PAK was saved");
        let broker = setting.broker.url().parse().expect("an address");
        let config = ClientConfig::new(broker).with_pak(PakText::new(pak.trim()));
        Hand {
            client: Client::new(config).expect("a client"),
            id: setting.agent_id("hand").await.parse().expect("an id"),
        }
    }

    async fn claim_new(&self, setting: &Setting) -> WorkOrder {
        let order = CreateWorkOrder {
            work_type: "command".to_owned(),
            yaml_content: "a: b".to_owned(),
            targeting: Some(TargetingRequest {
                agent_ids: Some(vec![self.id]),
                ..TargetingRequest::default()
            }),
            ..CreateWorkOrder::default()
        };
        let order = setting.client().create_work_order(&order, None).await;
        let id = order.expect("an order is created").work_order.id;
        let claimed = self.client.claim_work_order(id, self.id).await;
        claimed.expect("the order is claimed")
    }

    async fn print(&self, order: &WorkOrder, pieces: &[(&str, &str)]) {
        let mut chunks = Vec::new();
        let mut offset = 0;
        for (stream, data) in pieces {
            chunks.push(OutputChunk {
                id: order.id,
                attempt: order.attempt,
                offset,
                stream: (*stream).to_owned(),
                at: Time::from_micros(7),
                data: (*data).to_owned(),
            });
            offset += i64::try_from(data.len()).expect("a short text");
        }
        let answer = self.client.append_output(self.id, &AppendOutput { chunks }).await;
        answer.expect("the output is stored");
    }
}

#[tokio::test]
async fn what_the_agent_left_out_is_a_remark_and_no_line_of_the_work() {
    let setting = Setting::new().await;
    let hand = Hand::new(&setting).await;
    let order = hand.claim_new(&setting).await;
    let remark = "[brokkr: 900 bytes of output were left out here, since there was more than is kept]\n";
    let pieces = [
        ("stdout", "the beginning"),
        ("system", &format!("\n{remark}")),
        ("stdout", "the end\n"),
    ];
    hand.print(&order, &pieces).await;
    let browser = setting.viewer().await;
    browser.open(&setting.url(&format!("/orders/{}", order.id))).await;
    browser.until_text("#output .remark", remark.trim_end()).await;
    assert_eq!(browser.count("#output .remark").await, 1);
    let lines = text(&browser, LINES).await;
    assert_eq!(lines, format!("the beginning\n{remark}the end\n"));
}
