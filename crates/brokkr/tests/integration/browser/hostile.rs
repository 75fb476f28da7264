//! Texts that would be scripts if a page took them for more than texts.

use std::collections::BTreeMap;

use brokkr_client::Client;
use brokkr_client::api::{
    Cancel, CreateAgent, CreateGenerator, CreatePak, CreateWebhook, CreateWorkOrder, PakRole,
    TargetingRequest,
};

use super::Setting;
use super::receiver::Receiver;
use crate::world::until;

/// Ends whatever it may stand in, and then tries everything. No white space, so that it may be a label.
const HOSTILE: &str = r#"</p></script><script>alert(1)</script><img/id=evil/src=x/onerror=alert(2)>"#;
/// As long as a label may be.
const HOSTILE_SHORT: &str = r#""><img/id=evil/src=x/onerror=alert(3)>"#;
const ELEMENTS: &str = "#evil, img[src=x]";

/// Puts the texts wherever the broker takes them, and answers the pages that show them.
async fn fill(setting: &Setting) -> Vec<String> {
    let client = setting.client();
    let order = CreateWorkOrder {
        work_type: HOSTILE_SHORT.to_owned(),
        yaml_content: format!("text: '{HOSTILE}'\n# {HOSTILE}\n"),
        targeting: Some(TargetingRequest {
            labels: Some(vec![HOSTILE_SHORT.to_owned()]),
            annotations: Some(BTreeMap::from([(
                HOSTILE_SHORT.to_owned(),
                HOSTILE_SHORT.to_owned(),
            )])),
            ..TargetingRequest::default()
        }),
        metadata: Some(BTreeMap::from([(HOSTILE_SHORT.to_owned(), HOSTILE.to_owned())])),
        ..CreateWorkOrder::default()
    };
    let waiting = client.create_work_order(&order, None).await.expect("it is taken");
    let cancelled = client.create_work_order(&order, None).await.expect("it is taken");
    let (waiting, cancelled) = (waiting.work_order.id, cancelled.work_order.id);
    let reason = Cancel {
        reason: Some(HOSTILE.to_owned()),
    };
    client
        .cancel_work_order(cancelled, &reason)
        .await
        .expect("it is cancelled");
    let agent = CreateAgent {
        name: HOSTILE.to_owned(),
        cluster_name: HOSTILE.to_owned(),
        generator_ids: None,
    };
    let agent = client.create_agent(&agent).await.expect("it is created").agent.id;
    client
        .add_agent_label(agent, HOSTILE_SHORT)
        .await
        .expect("a label");
    client
        .add_agent_annotation(agent, HOSTILE_SHORT, HOSTILE_SHORT)
        .await
        .expect("an annotation");
    let generator = CreateGenerator {
        name: HOSTILE.to_owned(),
        description: Some(HOSTILE.to_owned()),
    };
    let generator = client.create_generator(&generator).await.expect("it is created");
    let webhook = fill_webhook(&client).await;
    let pak = CreatePak {
        name: HOSTILE.to_owned(),
        role: PakRole::Viewer,
        expires_at: None,
    };
    client.create_pak(&pak).await.expect("it is created");
    let printed = setting
        .submit(&format!(
            "printf '%s\\n' '{HOSTILE}'; printf '\\033[31m%s\\033[0m\\n' '{HOSTILE}'; exit 7"
        ))
        .await;
    setting.ended(&printed).await;
    let mut pages: Vec<String> = [
        "/",
        "/orders",
        "/orders?state=ENDED",
        "/agents",
        "/paks",
        "/audit",
        "/submit",
        "/generators",
        "/webhooks",
        "/log",
    ]
    .map(str::to_owned)
    .to_vec();
    pages.extend([waiting.to_string(), cancelled.to_string(), printed].map(|id| format!("/orders/{id}")));
    pages.push(format!("/agents/{agent}"));
    pages.push(format!("/generators/{}", generator.generator.id));
    pages.extend(webhook);
    pages
}

/// A webhook with the texts in all that it is and in what its receiver says, and its pages.
async fn fill_webhook(client: &Client) -> [String; 2] {
    let receiver = Receiver::start(HOSTILE).await;
    receiver.answers(400);
    let webhook = CreateWebhook {
        name: HOSTILE.to_owned(),
        url: format!("{}?{HOSTILE}", receiver.url),
        event_types: vec!["*".to_owned()],
        labels: vec![HOSTILE_SHORT.to_owned()],
        ..CreateWebhook::default()
    };
    let webhook = client
        .create_webhook(&webhook)
        .await
        .expect("it is taken")
        .webhook
        .id;
    let test = client.test_webhook(webhook).await.expect("it is taken").id;
    until("the answer of the receiver", async || {
        client.webhook_delivery(webhook, test).await.ok()?.last_error
    })
    .await;
    let page = format!("/webhooks/{webhook}");
    [format!("{page}/deliveries/{test}"), page]
}

#[tokio::test]
async fn scripts_and_html_in_every_text_stay_text() {
    let setting = Setting::new().await;
    let _agent = setting.agent().await;
    let pages = fill(&setting).await;
    let browser = setting.administrator().await;
    browser.complaints().await;

    for page in pages {
        browser.open(&setting.url(&page)).await;
        browser.until_text("h1", "").await;
        if page.starts_with("/orders/") {
            browser.until_text("main", "<script>alert(1)</script>").await;
        }
        assert!(!browser.has_dialog().await, "{page} ran a script");
        assert_eq!(browser.count(ELEMENTS).await, 0, "{page} has the element");
        let complaints = browser.complaints().await;
        assert_eq!(complaints, [""; 0], "{page}");
    }
}

#[tokio::test]
async fn what_a_search_asks_for_is_shown_as_text() {
    let setting = Setting::new().await;
    let browser = setting.administrator().await;
    let sought = "%22%3E%3Cimg%20id=evil%20src=x%20onerror=alert(4)%3E";
    for page in [
        "/orders",
        "/sign-in",
        "/audit",
        "/agents",
        "/generators",
        "/log",
        "/webhooks",
    ] {
        let query = [
            "text", "label", "type", "state", "ending", "since", "until", "next", "agent", "subject", "after",
        ]
        .map(|name| format!("{name}={sought}"));
        browser
            .open(&setting.url(&format!("{page}?{}", query.join("&"))))
            .await;
        assert!(!browser.has_dialog().await, "{page} ran a script");
        assert_eq!(browser.count(ELEMENTS).await, 0, "{page} has the element");
    }
}
