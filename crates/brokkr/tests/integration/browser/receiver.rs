//! Somebody who is told by webhooks, and answers as the test says.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// No delivery of a test is longer.
const REQUEST_BYTES_MAX: usize = 65_536;

pub(super) struct Receiver {
    pub(super) url: String,
    status: Arc<AtomicU16>,
}

impl Receiver {
    /// One that answers 200, and `body` whatever it answers.
    pub(super) async fn start(body: &'static str) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
        let status = Arc::new(AtomicU16::new(200));
        let answers = Arc::clone(&status);
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(answer(connection, answers.load(Ordering::Relaxed), body));
            }
        });
        Receiver { url, status }
    }

    pub(super) fn answers(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }
}

/// Reads a request to its end, answers it and closes the connection.
async fn answer(mut connection: TcpStream, status: u16, body: &str) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !is_whole(&request) {
        if request.len() > REQUEST_BYTES_MAX || connection.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    let head = format!(
        "HTTP/1.1 {status} Said\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    connection.write_all(head.as_bytes()).await?;
    connection.write_all(body.as_bytes()).await
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let value = name.eq_ignore_ascii_case("content-length").then_some(value)?;
        value.trim().parse::<usize>().ok()
    });
    body.len() >= length.unwrap_or_default()
}
