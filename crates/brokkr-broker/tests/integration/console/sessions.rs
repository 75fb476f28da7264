//! Until when somebody sees something, how often they may try, and what a configuration makes of it.

use std::net::IpAddr;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use axum::response::Response;
use brokkr_broker::config::ConsoleConfig;
use brokkr_broker::{api, console};
use brokkr_testkit::{Answer, Backend, TestBroker};
use reqwest::{Client, Method};
use rstest::rstest;
use tower::ServiceExt as _;

use super::output::{Live, print};
use super::{Visitor, viewer};

/// More than anybody may try in the time that a test takes.
const TRIES_MAX: usize = 500;
/// Nobody's.
const WRONG_PAK: &str = "brokkr_BRwrongone_wrongwrongwrongwrongwrong";

#[rstest]
#[tokio::test]
async fn live_output_ends_with_its_session_and_with_no_other_one(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    broker.work_order().for_agent(&agent).create().await;
    let claim = agent.claim_next(1).await.unwrap().remove(0).work_order;
    print(&agent, &claim, 0, "the beginning\n").await;
    let path = format!("/console/live/orders/{}/output", claim.id);

    let (pak, short) = viewer(&broker).await;
    let revoked = Visitor::signed_in(&broker, &pak).await;
    let leaves = Visitor::signed_in(&broker, broker.admin_pak()).await;
    let stays = Visitor::signed_in(&broker, broker.admin_pak()).await;
    let (mut of_revoked, mut of_leaving, mut of_staying) = (
        Live::of(&revoked, &path).await,
        Live::of(&leaves, &path).await,
        Live::of(&stays, &path).await,
    );
    for live in [&mut of_revoked, &mut of_leaving, &mut of_staying] {
        live.until("the beginning").await;
    }

    broker.admin().delete_pak(&short).await.unwrap();
    of_revoked.end().await;
    assert_eq!(leaves.act("/sign-out", "").await.status, 303);
    of_leaving.end().await;
    print(&agent, &claim, 14, "more\n").await;
    of_staying.until("more").await;

    broker.clock().advance(Duration::from_secs(8 * 3_600));
    of_staying.end().await;
    for (visitor, path) in [(&revoked, &path), (&leaves, &path), (&stays, &path)] {
        assert_eq!(visitor.get(path).await.status, 303, "a stream is opened again");
    }
}

#[rstest]
#[tokio::test]
async fn a_page_hears_of_changes_at_any_replica_as_long_as_its_session_lasts(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let replica = broker.replica().await;
    let first = broker.work_order().label("gpu").create().await;
    let second = broker.work_order().label("gpu").create().await;
    let admin = Visitor::signed_in(&broker, broker.admin_pak()).await;
    let of_first = format!("/console/live/changes?order={}", first.id);
    let (mut all, mut one) = (
        Live::of(&admin, "/console/live/changes").await,
        Live::of(&admin, &of_first).await,
    );
    all.until("event: listening").await;
    one.until("event: listening").await;

    replica
        .admin()
        .cancel_work_order(second.id, &Default::default())
        .await
        .unwrap();
    all.until("event: changed").await;
    replica
        .admin()
        .cancel_work_order(first.id, &Default::default())
        .await
        .unwrap();
    all.until("event: changed").await;
    assert_eq!(one.until("event: changed").await, 1, "it hears of another order");

    assert_eq!(admin.get("/console/live/changes?order=nothing").await.status, 404);
    assert_eq!(admin.act("/sign-out", "").await.status, 303);
    all.end().await;
    one.end().await;
    assert_eq!(admin.get("/console/live/changes").await.status, 303);
}

#[rstest]
#[tokio::test]
async fn one_who_tries_too_often_is_refused_and_nobody_else(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let from = |address: [u8; 4]| Visitor {
        http: Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .local_address(IpAddr::from(address))
            .build()
            .unwrap(),
        ..Visitor::stranger(&broker)
    };
    let (guesser, other) = (from([127, 0, 0, 1]), from([127, 0, 0, 2]));
    let mut refused = None;
    for n in 0..TRIES_MAX {
        let form = guesser.form("/sign-in", format!("pak={WRONG_PAK}&next=/"));
        // What a request says of where it comes from is anybody's word.
        let answer = Answer::of(form.header("x-forwarded-for", format!("192.0.2.{}", n % 250))).await;
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
        assert_eq!(answer.status, 401);
    }
    let refused = refused.expect("nobody may try for ever");
    assert!(refused.text.contains("role=\"alert\"") && !refused.header("retry-after").is_empty());
    let right = other.sign_in(broker.admin_pak().expose(), "/").await;
    assert_eq!((right.status, right.header("location")), (303, "/"));
}

/// The answer of a broker with another configuration.
async fn configured(
    broker: &TestBroker,
    console: &ConsoleConfig,
    over_tls: bool,
    request: Request<Body>,
) -> Response {
    let app = broker.app().clone();
    let pages = console::router(app.clone(), console, over_tls);
    api::router(app, None, pages).oneshot(request).await.unwrap()
}

#[rstest]
#[tokio::test]
async fn a_console_that_is_switched_off_leaves_nothing_but_the_api(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let off = ConsoleConfig {
        enabled: false,
        ..ConsoleConfig::default()
    };
    let pages = ["/sign-in", "/orders/retries", "/console/live/orders/1/output"];
    for path in super::PAGES.iter().chain(&pages) {
        for method in [Method::GET, Method::POST] {
            let request = Request::builder().method(method).uri(*path);
            let answer = configured(&broker, &off, false, request.body(Body::empty()).unwrap()).await;
            assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
        }
    }
    let health = Request::get("/healthz").body(Body::empty()).unwrap();
    assert_eq!(
        configured(&broker, &off, false, health).await.status(),
        StatusCode::OK
    );
}

#[rstest]
#[tokio::test]
async fn a_session_that_began_over_tls_is_sent_over_nothing_else(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let behind_tls = ConsoleConfig {
        behind_tls: true,
        ..ConsoleConfig::default()
    };
    let plain = ConsoleConfig::default();
    for (config, over_tls, secure) in [
        (&plain, false, false),
        (&plain, true, true),
        (&behind_tls, false, true),
    ] {
        let form = format!("pak={}&next=/", broker.admin_pak().expose());
        let request = Request::post("/sign-in")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(form))
            .unwrap();
        let answer = configured(&broker, config, over_tls, request).await;
        let cookie = answer.headers()[header::SET_COOKIE].to_str().unwrap();
        let words: Vec<&str> = cookie.split("; ").collect();
        assert_eq!(words.contains(&"Secure"), secure, "over TLS: {over_tls}");
    }
}
