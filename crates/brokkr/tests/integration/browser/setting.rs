//! A broker with a console, an agent, and somebody who looks.

use brokkr_client::Client;
use brokkr_client::api::{BatchCreate, CreatePak, CreateWorkOrder, PakRole, TargetingRequest};
use brokkr_testkit_browser::{Browser, Settings};

use crate::world::{AgentProcess, BrokerProcess, Database, World, until};

/// The label of the agent, and of the orders that it runs.
pub(super) const LABEL: &str = "test";
/// As many orders as one request may have.
const BATCH: usize = 500;

pub(super) struct Setting {
    pub(super) world: World,
    pub(super) broker: BrokerProcess,
}

/// So that there can be webhooks, told to receivers on this host.
const CONFIGURATION: &str =
    "[webhooks]\nkey_file = \"webhooks.key\"\nallow_http = true\nallow_private_addresses = true\n";
/// 32 bytes in base64.
const WEBHOOKS_KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n";

impl Setting {
    /// A broker on SQLite.
    pub(super) async fn new() -> Setting {
        let world = World::new();
        world.file("webhooks.key", WEBHOOKS_KEY);
        world.file("brokkr.toml", CONFIGURATION);
        let broker = BrokerProcess::start(&world, &Database::sqlite(&world)).await;
        Setting { world, broker }
    }

    pub(super) async fn agent(&self) -> AgentProcess {
        self.broker.agent(&self.world, "runner", LABEL).await
    }

    pub(super) fn client(&self) -> Client {
        self.broker.client()
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.broker.url())
    }

    pub(super) fn admin_pak(&self) -> String {
        let pak = std::fs::read_to_string(self.world.path("admin.pak")).expect("the broker wrote it");
        pak.trim().to_owned()
    }

    /// A new PAK that may only look, and its short part.
    pub(super) async fn viewer_pak(&self, name: &str) -> (String, String) {
        let pak = CreatePak {
            name: name.to_owned(),
            role: PakRole::Viewer,
            expires_at: None,
        };
        let created = self.client().create_pak(&pak).await.expect("a PAK is created");
        (created.pak.into_exposed(), created.pak_info.short)
    }

    /// A browser whose person has signed in as an administrator and sees the overview.
    pub(super) async fn administrator(&self) -> Browser {
        let browser = Browser::start().await;
        self.sign_in(&browser, &self.admin_pak()).await;
        browser
    }

    /// The same, for somebody who may only look.
    pub(super) async fn viewer(&self) -> Browser {
        let browser = Browser::start().await;
        let (pak, _) = self.viewer_pak("viewer").await;
        self.sign_in(&browser, &pak).await;
        browser
    }

    /// The same as the administrator, with a browser that runs no script.
    pub(super) async fn administrator_without_javascript(&self) -> Browser {
        let browser = Browser::start_with(Settings {
            without_javascript: true,
        })
        .await;
        self.sign_in(&browser, &self.admin_pak()).await;
        browser
    }

    pub(super) async fn sign_in(&self, browser: &Browser, pak: &str) {
        sign_in(browser, &self.broker.url(), pak).await;
    }

    /// Submits a command for the agent.
    pub(super) async fn submit(&self, script: &str) -> String {
        self.submit_for(script, LABEL).await
    }

    pub(super) async fn submit_for(&self, script: &str, label: &str) -> String {
        let file = self.world.command("order.yaml", script);
        let args = ["submit", "-f", &file, "-l", label];
        self.broker.run(&self.world, &args).await.with_code(0).order()
    }

    /// Submits as many orders that nobody can run.
    pub(super) async fn submit_waiting(&self, count: usize) {
        let order = CreateWorkOrder {
            work_type: "command".to_owned(),
            yaml_content: "apiVersion: brokkr.io/v1\nkind: Command\nspec:\n  shell: 'true'\n".to_owned(),
            targeting: Some(TargetingRequest {
                labels: Some(vec!["nobody".to_owned()]),
                ..TargetingRequest::default()
            }),
            ..CreateWorkOrder::default()
        };
        for from in (0..count).step_by(BATCH) {
            let size = (count - from).min(BATCH);
            let work_orders = vec![order.clone(); size];
            let answer = self
                .client()
                .create_work_orders(&BatchCreate { work_orders }, None)
                .await
                .expect("the batch is taken");
            assert_eq!(answer.items.len(), size);
        }
    }

    pub(super) async fn agent_id(&self, name: &str) -> String {
        let agent = self.client().agent_by_name(name, "default").await;
        agent.expect("there is such an agent").id.to_string()
    }

    /// Waits for the ending of an order, whatever it is.
    pub(super) async fn ended(&self, order: &str) {
        let id = order.parse().expect("an id");
        let client = self.client();
        until("the ending", async || {
            client.work_order_log_entry(id).await.ok().map(|_| ())
        })
        .await;
    }
}

/// Signs in and waits for the overview.
pub(super) async fn sign_in(browser: &Browser, broker: &str, pak: &str) {
    browser.open(&format!("{broker}/sign-in")).await;
    browser.fill_in("PAK", pak).await;
    browser.press_button("Sign in").await;
    browser.until_text("h1", "Overview").await;
}
