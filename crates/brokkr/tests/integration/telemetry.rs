//! Logs and traces.

use std::fs;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::world::{BrokerProcess, Database, PATIENCE, Process, World, until};

/// A collector that takes requests until one has these bytes in it.
async fn receive(listener: TcpListener, wanted: Vec<u8>) {
    loop {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut received = Vec::new();
        let mut buffer = [0; 4096];
        while !is_whole(&received) {
            let length = stream.read(&mut buffer).await.expect("it can be read");
            received.extend_from_slice(&buffer[..length]);
        }
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        stream.write_all(answer).await.expect("it can be answered");
        if received.starts_with(b"POST /v1/traces")
            && received.windows(wanted.len()).any(|window| window == wanted)
        {
            return;
        }
    }
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, _)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| {
        line.to_ascii_lowercase()
            .strip_prefix("content-length: ")
            .map(str::to_owned)
    });
    let length: usize = length.and_then(|length| length.parse().ok()).expect("a length");
    head.len() + 4 + length <= request.len()
}

#[tokio::test]
async fn traces_of_the_submitter_go_on_in_the_broker_when_there_is_a_collector() {
    let collector = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let endpoint = format!("http://{}", collector.local_addr().expect("its address"));
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let bytes = (0..16)
        .map(|i| u8::from_str_radix(&trace[i * 2..i * 2 + 2], 16).expect("hex"))
        .collect();
    let received = tokio::spawn(receive(collector, bytes));

    let world = World::new();
    let url = format!("sqlite:{}", world.path("broker.db").display());
    let args = [
        "broker",
        "--listen",
        "127.0.0.1:0",
        "--database-url",
        &url,
        "--admin-pak-file",
        "admin.pak",
    ];
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "200"),
    ];
    let mut broker = Process::start(world.root(), &args, &variables);
    let address = broker
        .until_written("an address", |_, log| {
            log.split_whitespace()
                .find_map(|word| word.strip_prefix("server.address=").map(str::to_owned))
        })
        .await;
    let (url, pak) = (
        format!("http://{address}"),
        world.path("admin.pak").display().to_string(),
    );
    let parent = format!("00-{trace}-b7ad6b7169203331-01");
    let variables = [
        ("BROKKR_BROKER", url.as_str()),
        ("BROKKR_PAK_FILE", &pak),
        ("TRACEPARENT", &parent),
    ];
    world.run_with(&variables, &["get", "orders"]).await.with_code(0);

    timeout(PATIENCE, received)
        .await
        .expect("the submitter's trace is sent")
        .expect("the collector goes on");
}

#[tokio::test]
async fn a_first_start_writes_the_administrators_pak_once_and_the_log_never_holds_it() {
    use std::os::unix::fs::PermissionsExt as _;

    let world = World::new();
    let database = Database::sqlite(&world);
    let broker = BrokerProcess::start(&world, &database).await;
    let file = world.path("admin.pak");
    let pak = until("the PAK is written", async || {
        fs::read_to_string(&file).ok().filter(|pak| !pak.is_empty())
    })
    .await;
    assert_eq!(
        fs::metadata(&file)
            .expect("the file is there")
            .permissions()
            .mode()
            & 0o777,
        0o600
    );
    let said = broker.stop().await.with_code(0);
    assert_eq!(said.stdout.trim(), pak.trim());
    assert!(!said.stderr.contains(pak.trim()), "{said:?}");

    let again = BrokerProcess::start(&world, &database)
        .await
        .stop()
        .await
        .with_code(0);
    assert_eq!(again.stdout, "");
}
