//! The client against a server that answers what it is told to.

use std::sync::Arc;
use std::time::Duration;

use brokkr_api::{
    Cancel, ClaimRequest, Complete, CreateWorkOrder, ListAgents, OutputPosition, OutputQuery, PakText,
    WorkOrderStatus,
};
use brokkr_client::retry::{Backoff, with_backoff};
use brokkr_client::{
    CancelOutcome, Client, ClientConfig, ClientError, CompleteOutcome, OutputEvent, ProblemAnswer,
    Unreachable,
};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use uuid::Uuid;

const PAK: &str = "brokkr_BRabcdefgh_secret";

/// What a server does with its connection when all is written.
enum Then {
    Close,
    Stay,
}

/// Serves one connection: reads one request, writes `answer`, and gives back the request's head and body.
struct Server {
    config: ClientConfig,
    request: JoinHandle<String>,
}

impl Server {
    async fn answering(answer: String) -> Server {
        Server::writing(vec![answer.into_bytes()], Then::Close).await
    }

    async fn answering_json(status: &str, headers: &str, body: &Value) -> Server {
        Server::answering(answer(status, headers, &body.to_string())).await
    }

    /// Writes `pieces` one by one.
    async fn writing(pieces: Vec<Vec<u8>>, then: Then) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let request = tokio::spawn(async move {
            let (mut connection, _) = listener.accept().await.expect("a connection");
            let request = read_request(&mut connection).await;
            for piece in pieces {
                connection.write_all(&piece).await.expect("the client reads");
                connection.flush().await.expect("the client reads");
                tokio::task::yield_now().await;
            }
            if let Then::Stay = then {
                std::future::pending::<()>().await;
            }
            request
        });
        let url = format!("http://{address}/prefix/").parse().expect("a URL");
        Server {
            config: ClientConfig::new(url).with_pak(PakText::new(PAK)),
            request,
        }
    }

    fn client(&self) -> Client {
        Client::new(self.config.clone()).expect("a client")
    }

    async fn request(self) -> String {
        self.request.await.expect("a request")
    }
}

async fn read_request(connection: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if length.unwrap_or(0) <= body.len() {
                return text;
            }
        }
        assert_ne!(
            connection.read_buf(&mut bytes).await.expect("more bytes"),
            0,
            "the request was cut off"
        );
    }
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
}

fn work_order() -> Value {
    json!({
        "id": Uuid::nil(), "created_at": "2026-01-01T00:00:00.000000Z", "updated_at": "2026-01-01T00:00:00.000000Z",
        "work_type": "command", "yaml_content": "a: b", "status": "PENDING", "claim_timeout_seconds": 3600,
        "max_retries": 3, "retry_count": 0, "backoff_seconds": 60, "attempt": 0, "lost_count": 0, "priority": 0,
        "delivery": "at_least_once", "targeting": {"agent_ids": [], "labels": [], "annotations": {}}, "metadata": {},
        "submitted_by": "admin:abcdefgh", "lost_attempts": [],
    })
}

fn log_entry() -> Value {
    json!({
        "id": Uuid::nil(), "work_type": "command", "created_at": "2026-01-01T00:00:00.000000Z",
        "completed_at": "2026-01-01T00:00:00.000000Z", "success": true, "retries_attempted": 0, "yaml_content": "a: b",
        "ending": "succeeded", "attempt": 1, "lost_count": 0,
    })
}

#[tokio::test]
async fn a_work_order_is_submitted_with_its_key_pak_and_given_headers() {
    let mut server =
        Server::answering_json("201 Created", "Idempotency-Replayed: true\r\n", &work_order()).await;
    server.config.headers = Some(Arc::new(|| {
        [("traceparent".parse().unwrap(), "00-1-2-01".parse().unwrap())]
            .into_iter()
            .collect()
    }));
    let order = CreateWorkOrder {
        work_type: "command".to_owned(),
        ..Default::default()
    };

    let created = server
        .client()
        .create_work_order(&order, Some("key-1"))
        .await
        .unwrap();

    assert!(created.replayed);
    assert_eq!(created.work_order.status, WorkOrderStatus::Pending);
    let request = server.request().await;
    assert!(
        request.starts_with("POST /prefix/api/v1/work-orders HTTP/1.1\r\n"),
        "{request}"
    );
    for line in [
        "idempotency-key: key-1",
        "traceparent: 00-1-2-01",
        &format!("authorization: Bearer {PAK}"),
    ] {
        assert!(
            request.contains(&format!("\r\n{line}\r\n")),
            "{line} is not in {request}"
        );
    }
    assert!(
        request.ends_with(r#"{"work_type":"command","yaml_content":""}"#),
        "{request}"
    );
}

#[tokio::test]
async fn a_problem_carries_all_that_the_broker_said() {
    let body = json!({"code": "too_many_requests", "message": "Slow down.", "details": {"limit": 5}});
    let headers = "Retry-After: 7\r\nX-Request-Id: r-1\r\n";
    let server = Server::answering_json("429 Too Many Requests", headers, &body).await;

    let error = server.client().agent(Uuid::nil()).await.unwrap_err();

    assert!(error.is_transient() && !error.is_unreachable());
    let expected = ProblemAnswer {
        status: 429,
        code: "too_many_requests".to_owned(),
        message: "Slow down.".to_owned(),
        details: Some(json!({"limit": 5})),
        retry_after: Some(Duration::from_secs(7)),
        request_id: Some("r-1".to_owned()),
    };
    assert_eq!(error.problem(), Some(&expected));
    assert_eq!(error.to_string(), "Slow down. (too_many_requests, HTTP 429)");
}

#[tokio::test]
async fn an_error_of_something_before_the_broker_is_a_problem_too() {
    let server = Server::answering(answer("502 Bad Gateway", "", "<html>")).await;
    let error = server.client().whoami().await.unwrap_err();
    assert_eq!(
        (error.status(), error.code()),
        (Some(502), Some(ProblemAnswer::UNEXPECTED_ANSWER))
    );
    assert!(error.is_transient());
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let server = Server::answering(answer(
        "307 Temporary Redirect",
        "Location: http://127.0.0.1:1/\r\n",
        "",
    ))
    .await;
    let error = server.client().whoami().await.unwrap_err();
    assert_eq!(error.status(), Some(307));
    assert!(!error.is_transient());
}

#[tokio::test]
async fn a_broker_that_is_not_there_was_never_sent_anything() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    drop(listener);
    let error = Client::new(ClientConfig::new(url))
        .unwrap()
        .readyz()
        .await
        .unwrap_err();
    assert!(
        error.is_unreachable() && error.is_transient() && error.never_sent(),
        "{error:?}"
    );
}

#[tokio::test]
async fn an_answer_that_does_not_come_or_breaks_off_may_have_been_heard() {
    let silent = Server {
        ..Server::writing(vec![], Then::Stay).await
    };
    let mut config = silent.config.clone();
    config.request_timeout = Duration::from_millis(50);
    let broken = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{".to_owned()).await;
    let closed = Server::writing(vec![], Then::Close).await;

    for client in [Client::new(config).unwrap(), broken.client(), closed.client()] {
        let error = client.agent(Uuid::nil()).await.unwrap_err();
        assert!(error.is_unreachable() && !error.never_sent(), "{error:?}");
    }
}

#[tokio::test]
async fn an_answer_in_other_words_is_not_transient() {
    let server = Server::answering(answer("200 OK", "", "{}")).await;
    let error = server.client().agent(Uuid::nil()).await.unwrap_err();
    assert!(
        matches!(error, ClientError::Protocol { .. }) && !error.is_transient(),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_list_tells_where_its_next_page_is() {
    let link = "Link: </prefix/api/v1/agents?limit=1&cursor=x%2By>; rel=\"next\"\r\n";
    let server = Server::answering_json("200 OK", link, &json!([])).await;
    let query = ListAgents {
        limit: Some(1),
        cursor: Some("a+b".to_owned()),
    };

    let page = server.client().agents(&query).await.unwrap();

    assert_eq!(page.next.as_deref(), Some("x+y"));
    let request = server.request().await;
    assert!(
        request.starts_with("GET /prefix/api/v1/agents?limit=1&cursor=a%2Bb HTTP/1.1\r\n"),
        "{request}"
    );
}

#[tokio::test]
async fn a_long_poll_may_take_its_wait_longer_than_other_requests() {
    let late = answer("200 OK", "", &json!([work_order()]).to_string());
    let mut server = Server::writing(vec![], Then::Close).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    server.config.base_url = format!("http://{}", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    server.config.request_timeout = Duration::from_millis(50);
    let answering = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.expect("a connection");
        read_request(&mut connection).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        connection
            .write_all(late.as_bytes())
            .await
            .expect("the client waits");
    });
    let claim = ClaimRequest {
        wait_seconds: Some(30),
        instance_id: "i".to_owned(),
        ..Default::default()
    };

    let claimed = server.client().claim(Uuid::nil(), &claim).await.unwrap();

    assert_eq!(claimed.len(), 1);
    answering.await.unwrap();
}

#[tokio::test]
async fn an_ending_and_a_retry_are_told_apart() {
    let complete = Complete {
        success: true,
        ..Default::default()
    };
    let ended = Server::answering_json("200 OK", "", &log_entry()).await;
    let outcome = ended.client().complete(Uuid::nil(), &complete).await.unwrap();
    assert!(matches!(outcome, CompleteOutcome::Ended(entry) if entry.success));

    let retried = Server::answering_json("202 Accepted", "", &json!({"status": "retry_scheduled"})).await;
    let outcome = retried.client().complete(Uuid::nil(), &complete).await.unwrap();
    assert_eq!(outcome, CompleteOutcome::RetryScheduled);
}

#[tokio::test]
async fn a_cancellation_and_a_request_for_one_are_told_apart() {
    let ended = Server::answering_json("200 OK", "", &log_entry()).await;
    let outcome = ended
        .client()
        .cancel_work_order(Uuid::nil(), &Cancel::default())
        .await
        .unwrap();
    assert!(matches!(outcome, CancelOutcome::Ended(_)));

    let requested = Server::answering_json("202 Accepted", "", &work_order()).await;
    let outcome = requested
        .client()
        .cancel_work_order(Uuid::nil(), &Cancel::default())
        .await
        .unwrap();
    assert!(matches!(outcome, CancelOutcome::Requested(_)));
}

#[tokio::test]
async fn an_answer_without_a_body_is_enough() {
    let server = Server::answering("HTTP/1.1 204 No Content\r\n\r\n".to_owned()).await;
    server
        .client()
        .remove_agent_label(Uuid::nil(), "a/b")
        .await
        .unwrap();
    let request = server.request().await;
    assert!(request.contains("/labels/a%2Fb HTTP/1.1"), "{request}");
}

#[tokio::test]
async fn a_label_that_would_change_the_path_is_not_sent() {
    let client = Client::new(ClientConfig::new("http://127.0.0.1:1".parse().unwrap())).unwrap();
    for label in ["", ".", ".."] {
        let error = client.remove_agent_label(Uuid::nil(), label).await.unwrap_err();
        assert!(matches!(error, ClientError::Protocol { .. }), "{label}");
    }
}

#[tokio::test]
async fn live_output_comes_piece_by_piece_until_its_end() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
    let body = ": hi\n\nevent: output\nid: 1:3\ndata: {\"attempt\":1,\"offset\":0,\"stream\":\"stdout\",\"at\":\"2026-01-01T00:00:00Z\",\"data\":\"\u{e4}\\n\"}\n\nevent: later\ndata: {}\n\nevent: ended\ndata: {\"attempt\":1,\"ending\":\"succeeded\"}\n\n";
    let pieces = format!("{head}{body}")
        .into_bytes()
        .chunks(7)
        .map(<[u8]>::to_vec)
        .collect();
    let server = Server::writing(pieces, Then::Stay).await;
    let resume = Some(OutputPosition {
        attempt: 1,
        offset: 0,
    });

    let stream = server
        .client()
        .follow_output(Uuid::nil(), &OutputQuery::default(), resume)
        .await
        .unwrap();
    let events: Vec<_> = stream.map(Result::unwrap).collect().await;

    let [OutputEvent::Output(piece), OutputEvent::Ended(ended)] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(
        (piece.data.as_str(), piece.end().to_string().as_str()),
        ("ä\n", "1:3")
    );
    assert_eq!(ended.ending, Some(brokkr_api::Ending::Succeeded));
    server.request.abort();
}

#[tokio::test]
async fn live_output_that_falls_silent_is_unreachable_and_one_that_is_closed_just_stops() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n".to_vec();
    let mut silent = Server::writing(vec![head.clone()], Then::Stay).await;
    silent.config.stream_idle_timeout = Duration::from_millis(50);
    let mut stream = silent
        .client()
        .follow_output(Uuid::nil(), &OutputQuery::default(), None)
        .await
        .unwrap();
    let error = stream.next().await.unwrap().unwrap_err();
    assert!(
        matches!(error, ClientError::Unreachable(Unreachable::Silent(_))),
        "{error:?}"
    );
    assert!(stream.next().await.is_none());

    let closed = Server::writing(vec![head], Then::Close).await;
    let mut stream = closed
        .client()
        .follow_output(Uuid::nil(), &OutputQuery::default(), None)
        .await
        .unwrap();
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn a_call_with_backoff_can_run_in_a_task_of_its_own() {
    let server = Server::answering_json("200 OK", "", &json!({"admin": true, "readonly": false})).await;
    let client = server.client();
    let call = async move || client.whoami().await;
    let task =
        tokio::spawn(async move { with_backoff(Backoff::default(), || 0.0, tokio::time::sleep, call).await });
    assert!(task.await.unwrap().unwrap().admin);
}

#[test]
fn the_pak_is_in_no_debug_text() {
    let config = ClientConfig::new("http://localhost".parse().unwrap()).with_pak(PakText::new(PAK));
    let client = Client::new(config.clone()).unwrap();
    assert!(!format!("{config:?} {client:?}").contains("secret"));
}

#[test]
fn a_url_that_is_not_a_brokers_is_refused() {
    for url in [
        "ftp://x",
        "http://user@x",
        "http://:pw@x",
        "http://x?a=b",
        "http://x#a",
        "unix:/x",
    ] {
        assert!(
            Client::new(ClientConfig::new(url.parse().unwrap())).is_err(),
            "{url}"
        );
    }
    let pak = PakText::new("line\nbreak");
    assert!(Client::new(ClientConfig::new("http://x".parse().unwrap()).with_pak(pak)).is_err());
}
