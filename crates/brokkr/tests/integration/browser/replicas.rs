//! Several brokers behind one address, where each request may reach another one.

use std::net::SocketAddr;

use brokkr_testkit_browser::Browser;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use super::Setting;
use super::setting::{LABEL, sign_in};
use crate::world::{BrokerProcess, Database, World};

const HEAD_MAX: usize = 16_384;

/// Gives requests to the backends in turn. Every connection carries one request, so neighbours on a page reach different brokers.
struct RoundRobin {
    url: String,
}

impl RoundRobin {
    async fn start(backends: Vec<SocketAddr>) -> RoundRobin {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            for backend in backends.iter().cycle() {
                let Ok((client, _)) = listener.accept().await else {
                    return;
                };
                tokio::spawn(carry(client, *backend));
            }
        });
        RoundRobin {
            url: format!("http://{address}"),
        }
    }
}

async fn carry(mut client: TcpStream, backend: SocketAddr) -> std::io::Result<()> {
    let mut head = Vec::new();
    let end = loop {
        let found = head.windows(4).position(|window| window == b"\r\n\r\n");
        if let Some(end) = found {
            break end;
        }
        if head.len() > HEAD_MAX || client.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    };
    let rest = head.split_off(end);
    let text = String::from_utf8_lossy(&head);
    let kept = text
        .split("\r\n")
        .filter(|line| !line.to_ascii_lowercase().starts_with("connection:"));
    let once: Vec<&str> = kept.chain(["Connection: close"]).collect();
    let mut server = TcpStream::connect(backend).await?;
    server.write_all(once.join("\r\n").as_bytes()).await?;
    server.write_all(&rest).await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

#[tokio::test]
async fn a_session_and_what_changes_are_the_same_at_every_replica() {
    let world = World::new();
    let database = Database::postgres().await;
    let first = BrokerProcess::start(&world, &database).await;
    let second = BrokerProcess::start(&world, &database).await;
    let addresses = [first.address(), second.address()].map(|address| address.parse().expect("an address"));
    let front = RoundRobin::start(addresses.to_vec()).await;
    let _agent = first.agent(&world, "runner", LABEL).await;
    let setting = Setting { world, broker: first };

    let browser = Browser::start().await;
    sign_in(&browser, &front.url, &setting.admin_pak()).await;
    let order = setting.submit("echo begun; sleep 600").await;
    browser.open(&format!("{}/orders/{order}", front.url)).await;
    browser.until_text("main", "begun").await;
    for page in ["/orders", "/agents", "/audit", "/"] {
        browser.open(&format!("{}{page}", front.url)).await;
        assert!(!browser.path().await.starts_with("/sign-in"), "{page}");
    }

    browser.open(&format!("{}/orders/{order}", front.url)).await;
    browser.press_button("Cancel").await;
    setting.ended(&order).await;
    browser.until_text("main", "CANCELLED").await;

    browser.press_button("Sign out").await;
    browser.until_path("/sign-in").await;
    for _ in 0..4 {
        browser.open(&format!("{}/orders", front.url)).await;
        assert!(browser.path().await.starts_with("/sign-in"));
    }
}
