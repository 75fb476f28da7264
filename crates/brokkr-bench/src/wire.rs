//! A lean HTTP/1.1 client for one connection.
//!
//! Client, broker and database share the machine's cores, so what the client uses is missing from the result. This one writes each
//! request with one system call, reads each answer into the same buffer, and leaves the body to its caller as bytes.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

/// Longer than any long poll and any statement.
const PATIENCE: Duration = Duration::from_secs(120);
/// The broker closes connections on which nothing is asked for a while; a younger one is surely open.
const IDLE_MAX: Duration = Duration::from_secs(5);
const HEADERS_MAX: usize = 32;
const READ_BYTES: usize = 4096;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The connection could not be made or broke.
    #[error("the connection failed")]
    Connection(#[from] io::Error),
    /// Nothing came in time.
    #[error("no answer came within {} seconds", PATIENCE.as_secs())]
    Late,
    /// The answer is not HTTP/1.1 with a length.
    #[error("the answer cannot be read: {0}")]
    Malformed(&'static str),
    /// The body is not what it should be.
    #[error("the answer's body cannot be read")]
    Body(#[from] serde_json::Error),
    /// The broker refused.
    #[error("the broker answered {status}: {body}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The beginning of the body.
        body: String,
    },
}

/// An answer whose body lies in the connection's buffer.
#[derive(Debug)]
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) body: &'a [u8],
}

impl Answer<'_> {
    /// The same, if its status says that it was done.
    pub(crate) fn ok(self) -> Result<Self, WireError> {
        if (200..300).contains(&self.status) {
            Ok(self)
        } else {
            Err(self.refused())
        }
    }

    pub(crate) fn refused(&self) -> WireError {
        let end = self.body.len().min(300);
        WireError::Refused {
            status: self.status,
            body: String::from_utf8_lossy(&self.body[..end]).into_owned(),
        }
    }

    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, WireError> {
        Ok(serde_json::from_slice(self.body)?)
    }
}

/// A connection to one broker with one PAK. It connects when it is first used, and again after a failure.
#[derive(Debug)]
pub(crate) struct Connection {
    address: SocketAddr,
    stream: Option<TcpStream>,
    used_at: Instant,
    /// The header lines that all requests share.
    fixed: String,
    out: Vec<u8>,
    input: Vec<u8>,
}

impl Connection {
    pub(crate) fn new(address: SocketAddr, pak: &str) -> Connection {
        Connection {
            address,
            stream: None,
            used_at: Instant::now(),
            fixed: format!(
                " HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {pak}\r\ncontent-type: application/json\r\n"
            ),
            out: Vec::new(),
            input: Vec::new(),
        }
    }

    pub(crate) async fn post(&mut self, path: &str, body: &[u8]) -> Result<Answer<'_>, WireError> {
        self.call("POST", path, body).await
    }

    pub(crate) async fn get(&mut self, path: &str) -> Result<Answer<'_>, WireError> {
        self.call("GET", path, b"").await
    }

    async fn call(&mut self, method: &str, path: &str, body: &[u8]) -> Result<Answer<'_>, WireError> {
        self.write(method, path, body);
        let mut stream = self.connected().await?;
        let answer = timeout(PATIENCE, exchange(&mut stream, &self.out, &mut self.input)).await;
        let head = answer.map_err(|_| WireError::Late)??;
        // A connection that failed is dropped by now.
        self.stream = Some(stream);
        self.used_at = Instant::now();
        Ok(Answer {
            status: head.status,
            body: &self.input[head.body_start..head.body_end],
        })
    }

    fn write(&mut self, method: &str, path: &str, body: &[u8]) {
        self.out.clear();
        for part in [
            method,
            " ",
            path,
            &self.fixed,
            "content-length: ",
            &body.len().to_string(),
            "\r\n\r\n",
        ] {
            self.out.extend_from_slice(part.as_bytes());
        }
        self.out.extend_from_slice(body);
    }

    async fn connected(&mut self) -> Result<TcpStream, WireError> {
        match self.stream.take() {
            Some(stream) if self.used_at.elapsed() < IDLE_MAX => Ok(stream),
            _ => {
                let stream = TcpStream::connect(self.address).await?;
                stream.set_nodelay(true)?;
                Ok(stream)
            }
        }
    }
}

struct Head {
    status: u16,
    body_start: usize,
    body_end: usize,
}

async fn exchange(stream: &mut TcpStream, request: &[u8], input: &mut Vec<u8>) -> Result<Head, WireError> {
    stream.write_all(request).await?;
    input.clear();
    let head = loop {
        receive(stream, input).await?;
        if let Some(head) = head_in(input)? {
            break head;
        }
    };
    input.reserve(head.body_end.saturating_sub(input.len()));
    while input.len() < head.body_end {
        receive(stream, input).await?;
    }
    Ok(head)
}

async fn receive(stream: &mut TcpStream, input: &mut Vec<u8>) -> Result<(), WireError> {
    input.reserve(READ_BYTES);
    match stream.read_buf(input).await? {
        0 => Err(WireError::Malformed("it ends too early")),
        _ => Ok(()),
    }
}

/// The head, once all of it has arrived.
fn head_in(input: &[u8]) -> Result<Option<Head>, WireError> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Response::new(&mut headers);
    let status = parsed
        .parse(input)
        .map_err(|_| WireError::Malformed("its head is not HTTP/1.1"))?;
    let httparse::Status::Complete(body_start) = status else {
        return Ok(None);
    };
    let status = parsed.code.unwrap_or(0);
    let length = parsed
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("content-length"))
        .and_then(|header| std::str::from_utf8(header.value).ok()?.parse::<usize>().ok());
    let length = match length {
        Some(length) => length,
        None if status == 204 => 0,
        None => return Err(WireError::Malformed("it has no length")),
    };
    Ok(Some(Head {
        status,
        body_start,
        body_end: body_start + length,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_when_all_of_it_is_there() {
        let text = b"HTTP/1.1 207 Multi-Status\r\nContent-Length: 5\r\n\r\nhello";
        assert!(head_in(&text[..30]).expect("so far it is HTTP").is_none());
        let head = head_in(text).expect("it is HTTP").expect("it is whole");
        assert_eq!(head.status, 207);
        assert_eq!(&text[head.body_start..head.body_end], b"hello");
    }

    #[test]
    fn an_answer_without_content_needs_no_length() {
        let head = head_in(b"HTTP/1.1 204 No Content\r\n\r\n").expect("it is HTTP");
        assert_eq!(head.map(|head| head.status), Some(204));
        assert!(head_in(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
    }
}
