//! A broker at which something of everything has happened, for pages to show.

use brokkr_client::Client;
use brokkr_client::api::{CreateWebhook, DeliveryStatus, ListGenerators, WorkOrderStatus};
use brokkr_testkit_browser::Browser;

use super::Setting;
use super::receiver::Receiver;
use super::setting::LABEL;
use crate::world::{AgentProcess, until};

pub(super) struct Scene {
    pub(super) setting: Setting,
    pub(super) running: String,
    pub(super) ended: String,
    pub(super) agent: String,
    generator: String,
    webhook: String,
    delivery: String,
    _agents: Vec<AgentProcess>,
}

const MIGRATION: &str = r#"echo "Applying 0042_add_index.sql"
printf 'rows checked: \033[32m120000\033[0m\n'
printf '\033[33mwarning:\033[0m index orders_by_customer exists already\n'
for step in 1 2 3 4 5 6; do echo "batch $step of 6 done"; done
"#;

impl Scene {
    pub(super) async fn new() -> Scene {
        let setting = Setting::new().await;
        let (world, broker) = (&setting.world, &setting.broker);
        let agents = vec![
            broker.agent(world, "runner", LABEL).await,
            broker.agent(world, "eu-west-1", "production").await,
        ];
        for args in [
            ["create", "agent", "us-east-2", "-l", "production", "--inactive"].as_slice(),
            &["annotate", "agent", "runner", "region=eu-west"],
            &[
                "create",
                "generator",
                "nightly-reports",
                "--description",
                "Reports for the finance team",
            ],
            &[
                "create",
                "pak",
                "dashboard",
                "--role",
                "viewer",
                "--expires-in",
                "90d",
            ],
        ] {
            broker.run(world, args).await.with_code(0);
        }
        let ended = setting.submit(&format!("{MIGRATION}echo done")).await;
        for script in ["echo one", "echo two; exit 7", "echo three", "exit 1"] {
            let order = setting.submit_for(script, "production").await;
            setting.ended(&order).await;
        }
        setting.ended(&ended).await;
        let cancelled = setting.submit_for("true", "gone").await;
        broker.run(world, &["cancel", &cancelled]).await.with_code(0);
        let running = setting.submit(&format!("{MIGRATION}sleep 600")).await;
        for label in ["prodution", "gpu", "gpu"] {
            setting.submit_for("nvidia-smi", label).await;
        }
        let agent = setting.agent_id("runner").await;
        let client = setting.client();
        let id = running.parse().expect("an id");
        until("an order that runs", async || {
            let order = client.work_order(id).await.ok()?;
            (order.status == WorkOrderStatus::Claimed).then_some(())
        })
        .await;
        let generators = client.generators(&ListGenerators::default()).await;
        let generator = generators.expect("generators").items[0].id.to_string();
        let (webhook, delivery) = told(&client).await;
        Scene {
            setting,
            running,
            ended,
            agent,
            generator,
            webhook,
            delivery,
            _agents: agents,
        }
    }

    /// Shows how many orders would be cancelled.
    pub(super) async fn look_at_cancelling_many(&self, browser: &Browser) {
        browser.open(&self.setting.url("/orders?label=gpu")).await;
        browser.press_button("Cancel all of these").await;
        browser.until_text("h1", "Cancel orders").await;
    }

    /// Shows the form that sends an order elsewhere.
    pub(super) async fn look_at_sending_elsewhere(&self, browser: &Browser) {
        browser
            .open(&self.setting.url("/orders?state=PENDING&label=gpu"))
            .await;
        browser.click("#list th a").await;
        browser.until_path("/orders/").await;
        browser.press_button("Send it elsewhere").await;
        browser.until_text("main", "Send it there").await;
    }

    /// Shows what an order printed, folded but for what is sought.
    pub(super) async fn look_at_folded_output(&self, browser: &Browser) {
        browser
            .open(&self.setting.url(&format!("/orders/{}", self.ended)))
            .await;
        browser.until_text("#output", "done").await;
        browser.fill_in("Search", "warning").await;
        browser.tick("Fold the rest").await;
        browser.until_text("#output .gap", "5 lines").await;
    }

    /// Each page of the console: a name for it, and its path.
    pub(super) fn pages(&self) -> Vec<(&'static str, String)> {
        vec![
            ("overview", "/".to_owned()),
            ("orders", "/orders".to_owned()),
            ("orders-narrowed", "/orders?state=PENDING&label=gpu".to_owned()),
            ("order-running", format!("/orders/{}", self.running)),
            ("order-ended", format!("/orders/{}", self.ended)),
            ("orders-ended", "/orders?state=ENDED".to_owned()),
            ("log", "/log".to_owned()),
            ("submit", "/submit".to_owned()),
            ("agents", "/agents".to_owned()),
            ("agent", format!("/agents/{}", self.agent)),
            ("paks", "/paks".to_owned()),
            ("generators", "/generators".to_owned()),
            ("generator", format!("/generators/{}", self.generator)),
            ("webhooks", "/webhooks".to_owned()),
            ("webhook", format!("/webhooks/{}", self.webhook)),
            (
                "webhook-delivery",
                format!("/webhooks/{}/deliveries/{}", self.webhook, self.delivery),
            ),
            ("audit", "/audit".to_owned()),
        ]
    }
}

/// Makes a webhook that works, one that fails and one that is disabled. Answers the first one, and something that it was told.
async fn told(client: &Client) -> (String, String) {
    let receiver = Receiver::start("taken").await;
    let webhook = |name: &str, url: &str| CreateWebhook {
        name: name.to_owned(),
        url: url.to_owned(),
        event_types: vec!["work_order.failed".to_owned(), "agent.*".to_owned()],
        ..CreateWebhook::default()
    };
    let mut made = Vec::new();
    for (name, url) in [
        ("deploy-bot", receiver.url.as_str()),
        ("pager", "http://127.0.0.1:9/alerts"),
        ("archive", "https://archive.example.com/brokkr"),
    ] {
        let created = client.create_webhook(&webhook(name, url)).await;
        made.push(created.expect("it is taken").webhook.id);
    }
    client.disable_webhook(made[2]).await.expect("it is disabled");
    client.test_webhook(made[1]).await.expect("it is taken");
    let test = client.test_webhook(made[0]).await.expect("it is taken").id;
    until("a delivery", async || {
        let delivery = client.webhook_delivery(made[0], test).await.ok()?;
        (delivery.status == DeliveryStatus::Delivered).then_some(())
    })
    .await;
    (made[0].to_string(), test.to_string())
}
