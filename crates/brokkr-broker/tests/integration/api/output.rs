//! What the work prints.

mod live;

use brokkr_api::{AppendOutput, OutputChunk, OutputQuery, Time, WorkOrder};
use brokkr_broker::config::Limits;
use brokkr_testkit::{Answer, Backend, TestAgent, TestBroker};
use reqwest::Method;
use rstest::rstest;
use serde_json::json;

use super::call::{get, post, refusal, refused};
use super::refusals::code;

async fn claimed(broker: &TestBroker, agent: &TestAgent) -> WorkOrder {
    broker
        .work_order()
        .for_agent(agent)
        .backoff_seconds(0)
        .create()
        .await;
    agent.claim_one().await
}

fn chunk(claim: &WorkOrder, offset: i64, stream: &str, data: &str) -> OutputChunk {
    let (stream, data) = (stream.to_owned(), data.to_owned());
    OutputChunk {
        id: claim.id,
        attempt: claim.attempt,
        offset,
        stream,
        at: Time::from_micros(7),
        data,
    }
}

/// The status and the code of each chunk's fate.
async fn append(agent: &TestAgent, chunks: Vec<OutputChunk>) -> Vec<(u16, String)> {
    let answer = agent
        .client
        .append_output(agent.id, &AppendOutput { chunks })
        .await
        .unwrap();
    answer
        .items
        .into_iter()
        .map(|item| {
            (
                item.status,
                item.error.map(|error| error.code).unwrap_or_default(),
            )
        })
        .collect()
}

fn stored() -> (u16, String) {
    refused(200, "")
}

async fn text(broker: &TestBroker, order: &WorkOrder) -> String {
    broker
        .admin()
        .output_text(order.id, &OutputQuery::default())
        .await
        .unwrap()
}

#[rstest]
#[tokio::test]
async fn output_is_kept_in_order_with_its_streams_and_times(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let claim = claimed(&broker, &agent).await;
    let empty = broker
        .admin()
        .output(claim.id, &OutputQuery::default())
        .await
        .unwrap();
    assert_eq!(
        (empty.attempt, empty.chunks.len(), empty.next, empty.complete),
        (1, 0, 0, false)
    );
    let chunks = vec![
        chunk(&claim, 0, "stdout", "hello\0\n"),
        chunk(&claim, 7, "stderr", "wörld\n"),
    ];
    assert_eq!(append(&agent, chunks).await, [stored(), stored()]);

    let page = broker
        .admin()
        .output(claim.id, &OutputQuery::default())
        .await
        .unwrap();
    let told: Vec<_> = page
        .chunks
        .iter()
        .map(|piece| (piece.offset, &*piece.stream, &*piece.data))
        .collect();
    assert_eq!(told, [(0, "stdout", "hello\0\n"), (7, "stderr", "wörld\n")]);
    assert_eq!(
        (page.chunks[0].at, page.next, page.complete),
        (Time::from_micros(7), 14, false)
    );
    agent.succeed(&claim).await.unwrap();
    let rest = OutputQuery {
        after: Some(14),
        ..OutputQuery::default()
    };
    let rest = broker.admin().output(claim.id, &rest).await.unwrap();
    assert_eq!((rest.chunks.len(), rest.complete), (0, true));
    assert_eq!(text(&broker, &claim).await, "hello\0\nwörld\n");
}

#[rstest]
#[tokio::test]
async fn output_can_be_sent_again_but_not_with_a_gap(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let claim = claimed(&broker, &agent).await;
    let first = || chunk(&claim, 0, "stdout", "0123");
    assert_eq!(append(&agent, vec![first(), first()]).await, [stored(), stored()]);
    let gap = append(
        &agent,
        vec![
            chunk(&claim, 5, "stdout", "x"),
            chunk(&claim, 2, "stdout", "2345"),
            first(),
        ],
    )
    .await;
    assert_eq!(gap, [refused(409, "output_gap"), stored(), stored()]);
    assert_eq!(text(&broker, &claim).await, "012345");
    let query = OutputQuery {
        after: Some(3),
        limit: Some(1),
        ..OutputQuery::default()
    };
    let page = broker.admin().output(claim.id, &query).await.unwrap();
    assert_eq!(
        (page.chunks[0].offset, &*page.chunks[0].data, page.next),
        (3, "3", 4)
    );
}

#[rstest]
#[tokio::test]
async fn only_the_current_attempt_of_the_agent_appends(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let (agent, other) = (broker.agent().await, broker.agent().await);
    let claim = claimed(&broker, &agent).await;
    let stale = [refused(409, "stale_attempt")];
    assert_eq!(append(&other, vec![chunk(&claim, 0, "stdout", "x")]).await, stale);
    agent.release(&claim).await.unwrap();
    assert_eq!(append(&agent, vec![chunk(&claim, 0, "stdout", "x")]).await, stale);
    let again = agent.claim_one().await;
    let both = vec![
        chunk(&claim, 0, "stdout", "old"),
        chunk(&again, 0, "stdout", "new"),
    ];
    assert_eq!(append(&agent, both).await, [stale[0].clone(), stored()]);
    agent.succeed(&again).await.unwrap();
    assert_eq!(append(&agent, vec![chunk(&again, 3, "stdout", "x")]).await, stale);
    assert_eq!(text(&broker, &claim).await, "new");
}

#[rstest]
#[tokio::test]
async fn output_beyond_the_limit_ends_with_one_marker(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let limits = Limits {
        output_bytes_max: 10,
        ..Limits::default()
    };
    let broker = TestBroker::start_with(backend, limits).await;
    let agent = broker.agent().await;
    let claim = claimed(&broker, &agent).await;
    assert_eq!(
        append(&agent, vec![chunk(&claim, 0, "stdout", "12345678")]).await,
        [stored()]
    );
    let full = [refused(413, "output_limit")];
    for _ in 0..2 {
        assert_eq!(
            append(&agent, vec![chunk(&claim, 8, "stdout", "9abcdef")]).await,
            full
        );
        assert_eq!(
            append(&agent, vec![chunk(&claim, 15, "stdout", "more")]).await,
            full
        );
    }
    let text = text(&broker, &claim).await;
    assert!(
        text.starts_with("123456789a\n[output limit of 10 bytes reached"),
        "{text}"
    );
    assert_eq!(text.matches("output limit").count(), 1);
    agent.succeed(&claim).await.unwrap();
}

#[tokio::test]
async fn a_chunk_that_makes_no_sense_fails_no_other() {
    let broker = TestBroker::start(Backend::Sqlite).await;
    let agent = broker.agent().await;
    let claim = claimed(&broker, &agent).await;
    let wrong_stream = chunk(&claim, 0, "stdin", "x");
    let wrong_offset = chunk(&claim, -1, "stdout", "x");
    let wrong_attempt = OutputChunk {
        attempt: 0,
        ..chunk(&claim, 0, "stdout", "x")
    };
    let invalid = refused(400, "invalid_output");
    let answers = append(
        &agent,
        vec![
            wrong_stream,
            wrong_offset,
            wrong_attempt,
            chunk(&claim, 0, "stdout", "x"),
        ],
    )
    .await;
    assert_eq!(answers, [invalid.clone(), invalid.clone(), invalid, stored()]);
    let path = format!("/api/v1/agents/{}/output", agent.id);
    let answer = post(&broker, &agent.pak, &path, json!({"chunks": []})).await;
    assert_eq!(refusal(&answer), refused(400, "invalid_batch"));
}

#[tokio::test]
async fn a_place_that_makes_no_sense_is_refused() {
    let broker = TestBroker::start(Backend::Sqlite).await;
    let order = broker.work_order().label("any").create().await;
    let path = format!("/api/v1/work-orders/{}/output", order.id);
    for query in ["after=-1", "attempt=0", "attempt=9007199254740992"] {
        let answer = get(&broker, broker.admin_pak(), &format!("{path}?{query}")).await;
        assert_eq!(refusal(&answer), refused(400, "invalid_position"), "{query}");
    }
    for id in ["x", "1", "-1:0", "9007199254740992:0"] {
        let request = broker
            .http(Method::GET, &path)
            .bearer_auth(broker.admin_pak().expose());
        let request = request
            .header("Accept", "text/event-stream")
            .header("Last-Event-ID", id);
        assert_eq!(
            refusal(&Answer::of(request).await),
            refused(400, "invalid_position"),
            "{id}"
        );
    }
    let agent = broker.agent().await;
    assert_eq!(
        code(agent.client.output(order.id, &OutputQuery::default()).await),
        "admin_required"
    );
}

#[rstest]
#[tokio::test]
async fn output_is_answered_in_the_form_that_is_accepted(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let claim = claimed(&broker, &agent).await;
    append(
        &agent,
        vec![
            chunk(&claim, 0, "stdout", "one\n"),
            chunk(&claim, 4, "stderr", "two\n"),
        ],
    )
    .await;
    agent.succeed(&claim).await.unwrap();
    let viewer = broker.viewer().await;
    let read = async |accept: &str, query: &str| {
        let path = format!("/api/v1/work-orders/{}/output{query}", claim.id);
        Answer::of(
            broker
                .http(Method::GET, &path)
                .bearer_auth(viewer.pak.expose())
                .header("Accept", accept),
        )
        .await
    };

    let at = Time::from_micros(7).to_string();
    let first = json!({"attempt": 1, "offset": 0, "stream": "stdout", "at": at, "data": "one\n"});
    let second = json!({"attempt": 1, "offset": 4, "stream": "stderr", "at": at, "data": "two\n"});
    for accept in ["application/json", "*/*", "image/png"] {
        let answer = read(accept, "?attempt=1").await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, "application/json")
        );
        let page = json!({"attempt": 1, "chunks": [first, second], "next": 8, "complete": true});
        assert_eq!(answer.json(), page, "{accept}");
    }
    let text = read("text/plain", "").await;
    assert_eq!(
        (text.header("content-type"), &*text.text),
        ("text/plain; charset=utf-8", "one\ntwo\n")
    );
    assert_eq!(read("text/plain", "?after=5").await.text, "wo\n");
    let live = read("text/event-stream", "?after=4").await;
    assert_eq!(live.header("content-type"), "text/event-stream");
    let ended = json!({"attempt": 1, "ending": "succeeded"});
    let events: Vec<_> = live
        .text
        .split("\n\n")
        .filter(|event| !event.is_empty())
        .collect();
    let [output, end] = events[..] else {
        panic!("a piece and the ending, not {events:?}")
    };
    let data = |event: &str| -> serde_json::Value {
        serde_json::from_str(
            event
                .lines()
                .find_map(|line| line.strip_prefix("data: "))
                .unwrap(),
        )
        .unwrap()
    };
    assert!(
        output.contains("event: output\n") && output.contains("id: 1:8"),
        "{output}"
    );
    assert!(end.contains("event: ended\n"), "{end}");
    assert_eq!((data(output), data(end)), (second, ended));
}

#[rstest]
#[tokio::test]
async fn output_is_read_in_pages_to_its_end(#[values(Backend::Postgres, Backend::Sqlite)] backend: Backend) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let claim = claimed(&broker, &agent).await;
    let chunks: Vec<_> = (0..1_000)
        .map(|n| chunk(&claim, n * 4, "stdout", &format!("{n:03}\n")))
        .collect();
    let whole: String = chunks.iter().map(|chunk| chunk.data.as_str()).collect();
    assert!(
        append(&agent, chunks.clone())
            .await
            .iter()
            .all(|told| *told == stored())
    );
    let too_many = AppendOutput {
        chunks: [chunks, vec![chunk(&claim, 4_000, "stdout", "x")]].concat(),
    };
    assert_eq!(
        code(agent.client.append_output(agent.id, &too_many).await),
        "invalid_batch"
    );
    agent.succeed(&claim).await.unwrap();

    let (mut read, mut sizes, mut query) = (String::new(), Vec::new(), OutputQuery::default());
    loop {
        let page = broker.admin().output(claim.id, &query).await.unwrap();
        sizes.push(page.chunks.len());
        page.chunks.iter().for_each(|piece| read.push_str(&piece.data));
        query.after = Some(page.next);
        if page.complete {
            break;
        }
    }
    assert_eq!(sizes[..2], [500, 500]);
    assert_eq!(read, whole);
    assert_eq!(text(&broker, &claim).await, whole);
}

#[rstest]
#[tokio::test]
async fn each_attempt_has_output_of_its_own(#[values(Backend::Postgres, Backend::Sqlite)] backend: Backend) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let first = claimed(&broker, &agent).await;
    append(&agent, vec![chunk(&first, 0, "stdout", "first")]).await;
    agent
        .fail(&first, brokkr_api::FailureClass::Infrastructure)
        .await
        .unwrap();
    broker.sweep().await;
    let second = agent.claim_one().await;
    append(&agent, vec![chunk(&second, 0, "stdout", "second")]).await;

    let of = async |attempt| {
        let query = OutputQuery {
            attempt,
            ..OutputQuery::default()
        };
        let page = broker.admin().output(first.id, &query).await.unwrap();
        (
            page.attempt,
            page.chunks
                .into_iter()
                .map(|piece| piece.data)
                .collect::<String>(),
            page.complete,
        )
    };
    assert_eq!(of(Some(1)).await, (1, "first".to_owned(), true));
    assert_eq!(of(None).await, (2, "second".to_owned(), false));
    assert_eq!(of(Some(9)).await, (9, String::new(), false));
}

#[tokio::test]
async fn a_time_that_cannot_be_kept_is_refused_and_not_changed() {
    let broker = TestBroker::start(Backend::Sqlite).await;
    let agent = broker.agent().await;
    let claim = claimed(&broker, &agent).await;
    let long_ago = OutputChunk {
        at: Time::from_micros(-1),
        ..chunk(&claim, 0, "stdout", "x")
    };
    assert_eq!(
        append(&agent, vec![long_ago]).await,
        [refused(400, "invalid_output")]
    );
    assert_eq!(text(&broker, &claim).await, "");
}
