//! Whole brokers, as the binary starts and stops them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use brokkr_broker::app::clock::Clock as _;
use brokkr_broker::app::database_clock::DatabaseClock;
use brokkr_broker::{Broker, BrokerConfig, RunningBroker, StartError, Surroundings};
use brokkr_core::pak::Pak;
use brokkr_testkit::{Backend, TestDb};
use rstest::rstest;

fn config(db: &TestDb) -> BrokerConfig {
    let mut config = BrokerConfig::default();
    config.http.listen.set_port(0);
    config.database.url = db.url().to_owned();
    config.database.connections_max = 4;
    config.database.read_connections_max = 2;
    config
}

async fn start(config: &BrokerConfig) -> RunningBroker {
    Broker::start(config.clone(), Surroundings::default())
        .await
        .unwrap()
}

async fn status(broker: &RunningBroker, pak: &Pak) -> u16 {
    let request = reqwest::Client::new().get(format!("{}/api/v1/agents", broker.url()));
    request
        .bearer_auth(pak.reveal())
        .send()
        .await
        .unwrap()
        .status()
        .as_u16()
}

async fn admin_keys(db: &TestDb) -> usize {
    let clock = DatabaseClock::start(db).await.unwrap();
    let mut tx = db.read().await.unwrap();
    brokkr_broker::dal::credentials::list(&mut tx, None, 10, clock.now())
        .await
        .unwrap()
        .len()
}

#[rstest]
#[tokio::test]
async fn a_first_start_makes_one_administrators_key_and_a_second_one_none(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let db = TestDb::empty(backend).await;
    let first = start(&config(&db)).await;
    let pak = first.first_admin_pak.clone().unwrap();
    assert_eq!(status(&first, &pak).await, 200);
    first.stop().await;

    let second = start(&config(&db)).await;
    assert_eq!(second.first_admin_pak, None);
    assert_eq!(status(&second, &pak).await, 200);
    second.stop().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn brokers_that_start_at_once_agree_on_one_administrator(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let db = TestDb::empty(backend).await;
    let config = config(&db);
    let (a, b, c) = tokio::join!(start(&config), start(&config), start(&config));
    let made = [&a, &b, &c]
        .into_iter()
        .filter(|broker| broker.first_admin_pak.is_some())
        .count();
    assert_eq!((made, admin_keys(&db).await), (1, 1));
    tokio::join!(a.stop(), b.stop(), c.stop());
}

#[tokio::test]
async fn the_first_key_is_written_to_a_file_for_its_owner_only() {
    let (db, directory) = (TestDb::empty(Backend::Sqlite).await, tempfile::tempdir().unwrap());
    let path = directory.path().join("admin.pak");
    let mut config = config(&db);
    config.admin.pak_file = Some(path.clone());

    let broker = start(&config).await;
    let pak = broker.first_admin_pak.clone().unwrap();
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        format!("{}\n", pak.reveal())
    );
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    broker.stop().await;

    let again = start(&config).await;
    assert_eq!(again.first_admin_pak, None);
    again.stop().await;

    // On a new database, the key that the file holds becomes the administrator's.
    let other = TestDb::empty(Backend::Sqlite).await;
    config.database.url = other.url().to_owned();
    let elsewhere = start(&config).await;
    assert_eq!(status(&elsewhere, &pak).await, 200);
    elsewhere.stop().await;
}

#[tokio::test]
async fn a_key_file_that_holds_something_else_is_left_alone() {
    let (db, directory) = (TestDb::empty(Backend::Sqlite).await, tempfile::tempdir().unwrap());
    let path = directory.path().join("notes.txt");
    std::fs::write(&path, "buy milk").unwrap();
    let mut config = config(&db);
    config.admin.pak_file = Some(path.clone());

    let refused = Broker::start(config, Surroundings::default()).await;
    assert!(matches!(refused, Err(StartError::FirstAdmin(_))));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "buy milk");
    assert_eq!(admin_keys(&db).await, 0);
}

#[rstest]
#[tokio::test]
async fn a_configured_key_is_accepted_and_its_secret_never_known(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let db = TestDb::empty(backend).await;
    let pak = Pak::from_random([7; 32]);
    let mut config = config(&db);
    config.admin.pak_short = Some(pak.short().to_string());
    config.admin.pak_hash = Some(pak.hash().to_hex());
    for _ in 0..2 {
        let broker = start(&config).await;
        assert_eq!(broker.first_admin_pak, None);
        assert_eq!(status(&broker, &pak).await, 200);
        broker.stop().await;
    }
    assert_eq!(admin_keys(&db).await, 1);
}

#[tokio::test]
async fn what_cannot_be_started_says_why() {
    let db = TestDb::empty(Backend::Sqlite).await;
    let running = start(&config(&db)).await;

    let mut taken = config(&db);
    taken.http.listen = running.address();
    let error = Broker::start(taken, Surroundings::default()).await.err().unwrap();
    assert_eq!(
        error.to_string(),
        format!("could not listen on {}", running.address())
    );
    running.stop().await;

    let mut half = config(&db);
    half.admin.pak_hash = Some("00".repeat(32));
    assert!(matches!(
        Broker::start(half, Surroundings::default()).await,
        Err(StartError::AdminConfig(_))
    ));

    let mut nowhere = config(&db);
    nowhere.database.url = "sqlite:/no/such/directory/brokkr.db".to_owned();
    assert!(matches!(
        Broker::start(nowhere, Surroundings::default()).await,
        Err(StartError::Database(_))
    ));

    let mut insecure = config(&db);
    let missing = PathBuf::from("/no/such/file.pem");
    insecure.http.tls = Some(brokkr_broker::config::TlsConfig {
        cert_file: missing.clone(),
        key_file: missing,
    });
    assert!(matches!(
        Broker::start(insecure, Surroundings::default()).await,
        Err(StartError::Tls { .. })
    ));
}

#[tokio::test]
async fn a_broker_that_stops_closes_idle_connections_and_frees_its_port() {
    let db = TestDb::empty(Backend::Sqlite).await;
    let broker = start(&config(&db)).await;
    let (address, url) = (broker.address(), broker.url());
    let client = reqwest::Client::new();
    assert_eq!(
        client
            .get(format!("{url}/readyz"))
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap(),
        "Ready"
    );

    // The client keeps its connection open.
    tokio::time::timeout(Duration::from_secs(10), broker.stop())
        .await
        .unwrap();
    assert!(std::net::TcpListener::bind(address).is_ok());
    assert!(client.get(format!("{url}/healthz")).send().await.is_err());
}

#[rstest]
#[tokio::test]
async fn the_clock_is_the_databases_and_never_goes_back(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let db = TestDb::start(backend).await;
    let clock = DatabaseClock::start(&db).await.unwrap();
    assert!(clock.known());
    let mut latest = clock.now();
    for _ in 0..3 {
        let uncertainty = clock.measure(&db).await.unwrap();
        let now = clock.now();
        assert!(now >= latest);
        let theirs = brokkr_core::time::Timestamp::from_micros(db.now_micros().await.unwrap());
        // A millisecond more, which is what SQLite's clock rounds to, and what the question itself took.
        let off = theirs.since(now).max(now.since(theirs));
        assert!(off <= uncertainty + Duration::from_secs(1), "{off:?}");
        latest = now;
    }
}

#[rstest]
#[tokio::test]
async fn who_waits_for_work_hears_at_once_that_the_broker_stops(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let db = TestDb::empty(backend).await;
    let broker = start(&config(&db)).await;
    let pak = broker.first_admin_pak.clone().unwrap();
    let url = reqwest::Url::parse(&broker.url()).unwrap();
    let client = |pak: brokkr_api::PakText| {
        let mut config = brokkr_client::ClientConfig::new(url.clone());
        config.pak = Some(pak);
        brokkr_client::Client::new(config).unwrap()
    };
    let admin = client(brokkr_api::PakText::new(pak.reveal()));
    let create = brokkr_api::CreateAgent {
        name: "a".into(),
        cluster_name: "c".into(),
        generator_ids: None,
    };
    let created = admin.create_agent(&create).await.unwrap();
    let active = brokkr_api::UpdateAgent {
        status: Some("ACTIVE".into()),
        ..Default::default()
    };
    admin.update_agent(created.agent.id, &active).await.unwrap();

    let agent = client(created.initial_pak);
    let request = brokkr_api::ClaimRequest {
        wait_seconds: Some(60),
        instance_id: "i".into(),
        ..Default::default()
    };
    let waiting = tokio::spawn(async move { agent.claim(created.agent.id, &request).await });
    parked(&broker).await;
    tokio::time::timeout(Duration::from_secs(20), broker.stop())
        .await
        .unwrap();
    assert_eq!(waiting.await.unwrap().unwrap(), []);
}

/// Waits until a claim waits.
async fn parked(broker: &RunningBroker) {
    let metrics = format!("{}/metrics", broker.url());
    for _ in 0..1_000 {
        let text = reqwest::get(&metrics).await.unwrap().text().await.unwrap();
        if text.contains("brokkr_waiting_claims 1") {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("no claim waits");
}
