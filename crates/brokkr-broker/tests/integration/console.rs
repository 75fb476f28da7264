//! Pages for people, without a browser: who gets in, who may act, and what each answer says of itself.

mod agents;
mod generators;
mod log;
mod many;
mod output;
mod overview;
mod sessions;
mod webhooks;

use brokkr_api::{Cancel, CreatePak, PakRole, PakText};
use brokkr_testkit::{Answer, Backend, TestBroker};
use reqwest::header::{CONTENT_TYPE, COOKIE, ORIGIN};
use reqwest::{Client, Method, RequestBuilder};
use rstest::rstest;

const HOSTILE: &str = r#""><script>alert(1)</script>"#;
const PAGES: [&str; 10] = [
    "/",
    "/paks",
    "/orders",
    "/orders?state=ENDED",
    "/submit",
    "/agents",
    "/audit",
    "/generators",
    "/log",
    "/webhooks",
];

/// A browser that follows no redirection by itself.
struct Visitor<'a> {
    broker: &'a TestBroker,
    http: Client,
    cookie: String,
}

impl<'a> Visitor<'a> {
    fn stranger(broker: &'a TestBroker) -> Visitor<'a> {
        let http = Client::builder().redirect(reqwest::redirect::Policy::none());
        Visitor {
            broker,
            http: http.build().unwrap(),
            cookie: String::new(),
        }
    }

    async fn signed_in(broker: &'a TestBroker, pak: &PakText) -> Visitor<'a> {
        let mut visitor = Visitor::stranger(broker);
        let answer = visitor.sign_in(pak.expose(), "/").await;
        assert_eq!((answer.status, answer.header("location")), (303, "/"));
        let cookie = answer.header("set-cookie");
        visitor.cookie = cookie.split(';').next().unwrap().to_owned();
        visitor
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = self.broker.url().join(path).unwrap();
        self.http.request(method, url).header(COOKIE, &self.cookie)
    }

    fn form(&self, path: &str, body: String) -> RequestBuilder {
        let request = self.request(Method::POST, path);
        request
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body)
    }

    async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path)).await
    }

    async fn sign_in(&self, pak: &str, next: &str) -> Answer {
        Answer::of(self.form("/sign-in", format!("pak={pak}&next={next}"))).await
    }

    /// The secret that the forms of this session carry.
    async fn secret(&self) -> String {
        let page = self.get("/orders").await.text;
        let (_, after) = page.split_once("name=\"form_secret\" value=\"").unwrap();
        after.split('"').next().unwrap().to_owned()
    }

    async fn act(&self, path: &str, more: &str) -> Answer {
        let secret = self.secret().await;
        Answer::of(self.form(path, format!("form_secret={secret}&{more}"))).await
    }
}

/// What an administrator can do. Who may not is told so before anybody looks whether there is such a thing.
fn acts(order: &str, agent: &str) -> Vec<(String, &'static str)> {
    let webhook = format!("/webhooks/{agent}");
    vec![
        (format!("/orders/{order}/cancel"), "reason=no"),
        (format!("/orders/{order}/retry"), ""),
        (format!("/orders/{order}/targeting"), "labels=a"),
        ("/orders/retries".to_owned(), "state=FAILED"),
        ("/orders/cancellations".to_owned(), "before=9999999999999999"),
        ("/submit".to_owned(), "yaml=a"),
        ("/agents".to_owned(), "name=mine&cluster_name=default"),
        (format!("/agents/{agent}"), "act=rotate"),
        (format!("/agents/{agent}"), "act=delete"),
        ("/paks".to_owned(), "act=create&name=mine&role=admin"),
        ("/generators".to_owned(), "name=mine"),
        (format!("/generators/{agent}"), "act=rotate"),
        (
            "/webhooks".to_owned(),
            "name=mine&url=https://a.example&event_types=*",
        ),
        (webhook.clone(), "act=rotate"),
        (webhook.clone(), "act=replay&since=2000-01-01T00:00:00Z"),
        (format!("{webhook}/deliveries/{order}"), ""),
    ]
}

/// What a page shows that nobody can read again.
fn shown_once(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text);
    let (_, after) = answer
        .text
        .split_once("<pre id=\"secret\" tabindex=\"0\">")
        .unwrap();
    let secret = after.split('<').next().unwrap();
    // Templates escape a sign of base64.
    secret.replace("&#43;", "+").replace("&#61;", "=")
}

/// A text as forms carry it.
fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

async fn viewer(broker: &TestBroker) -> (PakText, String) {
    let pak = CreatePak {
        name: "viewer".to_owned(),
        role: PakRole::Viewer,
        expires_at: None,
    };
    let created = broker.admin().create_pak(&pak).await.unwrap();
    (created.pak, created.pak_info.short)
}

#[rstest]
#[tokio::test]
async fn nothing_is_shown_before_sign_in_and_the_session_is_in_a_guarded_cookie(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let stranger = Visitor::stranger(&broker);
    for page in PAGES {
        let answer = stranger.get(page).await;
        assert_eq!(answer.status, 303, "{page}");
        assert!(
            answer.header("location").starts_with("/sign-in?next=%2F"),
            "{page}"
        );
    }

    let answer = stranger.sign_in(broker.admin_pak().expose(), "/orders").await;
    assert_eq!((answer.status, answer.header("location")), (303, "/orders"));
    let cookie = answer.header("set-cookie");
    for word in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=28800"] {
        assert!(cookie.contains(word), "{word} is missing");
    }
    let elsewhere = stranger
        .sign_in(broker.admin_pak().expose(), "//evil.example")
        .await;
    assert_eq!(elsewhere.header("location"), "/");
}

#[rstest]
#[tokio::test]
async fn keys_that_are_nobodys_or_a_machines_open_no_session(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let stranger = Visitor::stranger(&broker);
    for (pak, status) in [("nonsense", 401), (agent.pak.expose(), 403)] {
        let answer = stranger.sign_in(pak, "/").await;
        assert_eq!(answer.status, status);
        assert!(answer.text.contains("role=\"alert\"") && answer.header("set-cookie").is_empty());
        assert!(!answer.text.contains(pak), "the page repeats the key");
    }
}

#[rstest]
#[tokio::test]
async fn every_page_forbids_what_is_not_its_own(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let admin = Visitor::signed_in(&broker, broker.admin_pak()).await;
    for page in PAGES.iter().chain(&["/sign-in", "/orders/nothing"]) {
        let answer = admin.get(page).await;
        let policy = answer.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'") && !policy.contains("unsafe"),
            "{page}"
        );
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{page}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{page}");
        assert_eq!(answer.header("cache-control"), "no-store", "{page}");
    }
}

#[rstest]
#[tokio::test]
async fn a_viewer_reads_and_is_refused_what_acts(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let order = broker.work_order().for_agent(&agent).create().await.id;
    let (pak, _) = viewer(&broker).await;
    let visitor = Visitor::signed_in(&broker, &pak).await;
    assert_eq!(visitor.get(&format!("/orders/{order}")).await.status, 200);

    for (path, form) in acts(&order.to_string(), &agent.id.to_string()) {
        assert_eq!(visitor.act(&path, form).await.status, 403, "{path}");
    }
    let status = broker.admin().work_order(order).await.unwrap().status;
    assert_eq!(status.as_str(), "PENDING");
}

#[rstest]
#[tokio::test]
async fn nothing_acts_without_the_secret_of_its_session(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let order = broker.work_order().for_agent(&agent).create().await.id;
    let admin = Visitor::signed_in(&broker, broker.admin_pak()).await;
    for (path, form) in acts(&order.to_string(), &agent.id.to_string()) {
        let answer = Answer::of(admin.form(&path, form.to_owned())).await;
        assert_eq!(answer.status, 403, "{path}");
    }
}

#[rstest]
#[tokio::test]
async fn a_form_that_is_not_of_the_session_or_of_another_site_does_nothing(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let order = broker.work_order().for_agent(&agent).create().await.id;
    let admin = Visitor::signed_in(&broker, broker.admin_pak()).await;
    let other = Visitor::signed_in(&broker, broker.admin_pak()).await;
    let (path, secret) = (format!("/orders/{order}/cancel"), admin.secret().await);

    for body in [String::new(), format!("form_secret={}", other.secret().await)] {
        assert_eq!(Answer::of(admin.form(&path, body)).await.status, 403);
    }
    let from = |name: &str, value: &str| {
        let form = admin.form(&path, format!("form_secret={secret}"));
        Answer::of(form.header(name, value))
    };
    assert_eq!(from("sec-fetch-site", "cross-site").await.status, 403);
    assert_eq!(from(ORIGIN.as_str(), "https://evil.example").await.status, 403);
    assert_eq!(
        broker.admin().work_order(order).await.unwrap().status.as_str(),
        "PENDING"
    );

    assert_eq!(from("sec-fetch-site", "same-origin").await.status, 303);
    assert_eq!(
        broker.admin().work_order(order).await.unwrap().status.as_str(),
        "CANCELLED"
    );
}

#[rstest]
#[tokio::test]
async fn a_session_ends_with_its_key_and_with_signing_out(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let (pak, short) = viewer(&broker).await;
    let visitor = Visitor::signed_in(&broker, &pak).await;
    broker.admin().delete_pak(&short).await.unwrap();
    assert_eq!(visitor.get("/orders").await.status, 303);

    let admin = Visitor::signed_in(&broker, broker.admin_pak()).await;
    assert_eq!(admin.act("/sign-out", "").await.status, 303);
    assert_eq!(admin.get("/orders").await.status, 303);

    let admin = Visitor::signed_in(&broker, broker.admin_pak()).await;
    broker.advance(std::time::Duration::from_secs(8 * 3_600)).await;
    assert_eq!(admin.get("/orders").await.status, 303);
}

#[rstest]
#[tokio::test]
async fn pages_are_observed_and_bounded_as_the_api_is(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let page = Answer::of(broker.http(Method::GET, "/sign-in")).await;
    assert!(!page.header("x-request-id").is_empty());
    let much = broker
        .http(Method::POST, "/sign-in")
        .body("x".repeat(64 * 1024 * 1024));
    assert_eq!(Answer::of(much).await.status, 413);
    let metrics = Answer::of(broker.http(Method::GET, "/metrics")).await.text;
    assert!(metrics.contains("/sign-in"), "{metrics}");
}

#[rstest]
#[tokio::test]
async fn a_form_that_is_sent_twice_submits_once(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let admin = Visitor::signed_in(&broker, broker.admin_pak()).await;
    let form = "token=one&yaml=a%3A+1&work_type=command&labels=test&act=submit";
    let first = admin.act("/submit", form).await;
    let second = admin.act("/submit", form).await;
    assert_eq!(first.status, 303);
    assert_eq!(first.header("location"), second.header("location"));

    let broken = admin
        .act(
            "/submit",
            "token=two&yaml=%5B&work_type=command&labels=test&act=submit",
        )
        .await;
    assert!(
        broken.status == 400 && broken.text.contains("(line "),
        "{}",
        broken.status
    );
}

#[rstest]
#[tokio::test]
async fn hostile_texts_arrive_escaped(#[values(Backend::Postgres, Backend::Sqlite)] backend: Backend) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let order = broker
        .work_order()
        .for_agent(&agent)
        .yaml(&format!("a: '{HOSTILE}'"))
        .create()
        .await
        .id;
    let cancel = Cancel {
        reason: Some(HOSTILE.to_owned()),
    };
    broker.admin().cancel_work_order(order, &cancel).await.unwrap();
    broker.admin().add_agent_label(agent.id, HOSTILE).await.unwrap();
    let admin = Visitor::signed_in(&broker, broker.admin_pak()).await;
    for page in [
        format!("/orders/{order}"),
        format!("/agents/{}", agent.id),
        "/audit?subject=%22%3E%3Cscript%3Ealert(1)%3C/script%3E".to_owned(),
    ] {
        let text = admin.get(&page).await.text;
        assert!(!text.contains("<script>alert"), "{page}");
        assert!(text.contains("script&#62;alert(1)"), "{page}");
    }
}
