use brokkr_testkit::{Answer, Backend, TestBroker};
use reqwest::Method;
use rstest::rstest;

use super::call::{get, refusal, refused};

async fn look(broker: &TestBroker, path: &str) -> Answer {
    Answer::of(broker.http(Method::GET, path)).await
}

#[rstest]
#[tokio::test]
async fn probes_need_no_key(#[values(Backend::Postgres, Backend::Sqlite)] backend: Backend) {
    let broker = TestBroker::start(backend).await;
    let (health, readiness) = (look(&broker, "/healthz").await, look(&broker, "/readyz").await);
    assert_eq!((health.status, health.text.as_str()), (200, "OK"));
    assert_eq!((readiness.status, readiness.text.as_str()), (200, "Ready"));
}

#[rstest]
#[tokio::test]
async fn a_broker_without_its_database_lives_but_is_not_ready(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    broker.db().close().await;
    assert_eq!(look(&broker, "/healthz").await.status, 200);
    let answer = look(&broker, "/readyz").await;
    assert_eq!(refusal(&answer), refused(503, "database_unavailable"));
    assert_eq!(answer.header("retry-after"), "1");
    let answer = get(&broker, broker.admin_pak(), "/api/v1/agents").await;
    assert_eq!(refusal(&answer), refused(503, "database_unavailable"));
    assert_eq!(look(&broker, "/metrics").await.status, 200);
}

#[tokio::test]
async fn a_broker_that_stops_is_not_ready() {
    let broker = TestBroker::start(Backend::Sqlite).await;
    broker.app().stopping().cancel();
    assert_eq!(
        refusal(&look(&broker, "/readyz").await),
        refused(503, "not_ready")
    );
}

#[tokio::test]
async fn metrics_count_requests_by_route_with_a_bounded_number_of_labels() {
    let broker = TestBroker::start(Backend::Sqlite).await;
    for path in [
        "/api/v1/agents/01890000-0000-7000-8000-000000000000",
        "/api/v1/agents/nonsense",
        "/no/such/path",
        "/%FF",
    ] {
        look(&broker, path).await;
    }
    let odd = reqwest::Method::from_bytes(b"FROBNICATE").unwrap();
    Answer::of(broker.http(odd, "/healthz")).await;

    let metrics = look(&broker, "/metrics").await;
    assert!(metrics.header("content-type").starts_with("text/plain"));
    for line in [
        r#"brokkr_http_requests_total{endpoint="/api/v1/agents/:id",method="GET",status="401"} 2"#,
        r#"brokkr_http_requests_total{endpoint="other",method="GET",status="404"} 2"#,
        r#"brokkr_http_requests_total{endpoint="/healthz",method="OTHER",status="405"} 1"#,
        r#"brokkr_http_request_duration_seconds_count{endpoint="/healthz",method="OTHER"} 1"#,
        r#"brokkr_database_pool_connections_max{pool="write"} 1"#,
    ] {
        assert!(metrics.text.contains(line), "{line}\n{}", metrics.text);
    }
}

/// For how many seconds events have been held back.
async fn held_back(broker: &TestBroker) -> u64 {
    let metrics = look(broker, "/metrics").await.text;
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix("brokkr_events_held_back_seconds "));
    line.unwrap().parse().unwrap()
}

#[tokio::test]
async fn metrics_tell_for_how_long_an_open_transaction_has_held_events_back() {
    let broker = TestBroker::start(Backend::Postgres).await;
    broker.work_order().label("gpu").create().await;
    let connection = sqlx::PgPool::connect(broker.db().url()).await.unwrap();
    let mut open = connection.begin().await.unwrap();
    sqlx::query("SELECT pg_current_xact_id()")
        .execute(&mut *open)
        .await
        .unwrap();

    assert_eq!(held_back(&broker).await, 0);
    broker.clock().advance(std::time::Duration::from_secs(90));
    assert_eq!(held_back(&broker).await, 90);

    open.rollback().await.unwrap();
    // Other tests have transactions too, for a moment.
    let free = async { while held_back(&broker).await > 0 {} };
    tokio::time::timeout(std::time::Duration::from_secs(50), free)
        .await
        .unwrap();
    connection.close().await;
}

#[rstest]
#[tokio::test]
async fn metrics_tell_how_much_waits_and_how_it_went(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    for _ in 0..3 {
        broker.work_order().for_agent(&agent).create().await;
    }
    let claimed = agent.claim_one().await;
    agent.succeed(&claimed).await.unwrap();
    agent.claim_next(1).await.unwrap();
    broker.clock().advance(std::time::Duration::from_secs(7));

    let metrics = look(&broker, "/metrics").await.text;
    for line in [
        r#"brokkr_queue_orders{status="PENDING"} 1"#,
        r#"brokkr_queue_orders{status="CLAIMED"} 1"#,
        r#"brokkr_queue_orders{status="SCHEDULED"} 0"#,
        r#"brokkr_queue_oldest_age_seconds{status="PENDING"} 7"#,
        "brokkr_claims_total 2",
        "brokkr_database_statements_total ",
        r#"brokkr_endings_total{ending="succeeded"} 1"#,
        "brokkr_events_held_back_seconds 0",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
}
