//! What an order prints, as pages read it.

use std::time::Duration;

use axum::http::StatusCode;
use brokkr_api::{AppendOutput, OutputChunk, Time, WorkOrder};
use brokkr_testkit::{Backend, TestAgent, TestBroker};
use reqwest::Method;
use rstest::rstest;
use serde_json::Value;

use super::Visitor;

const STREAM_ENDS_WITHIN: Duration = Duration::from_secs(60);

/// What a page reads live.
pub(super) struct Live(reqwest::Response);

impl Live {
    pub(super) async fn of(visitor: &Visitor<'_>, path: &str) -> Live {
        let answer = visitor.request(Method::GET, path).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        Live(answer)
    }

    /// Reads until the word is there, and answers how often it is.
    pub(super) async fn until(&mut self, word: &str) -> usize {
        let mut text = String::new();
        while !text.contains(word) {
            let more = tokio::time::timeout(STREAM_ENDS_WITHIN, self.0.chunk()).await;
            let more = more
                .expect("something comes")
                .unwrap()
                .expect("the stream goes on");
            text.push_str(&String::from_utf8_lossy(&more));
        }
        text.matches(word).count()
    }

    pub(super) async fn end(mut self) {
        let read = async { while let Ok(Some(_)) = self.0.chunk().await {} };
        tokio::time::timeout(STREAM_ENDS_WITHIN, read)
            .await
            .expect("the stream ends with its session");
    }
}

pub(super) async fn print(agent: &TestAgent, claim: &WorkOrder, offset: i64, text: &str) {
    let chunk = OutputChunk {
        id: claim.id,
        attempt: claim.attempt,
        offset,
        stream: "stdout".to_owned(),
        at: Time::from_micros(7),
        data: text.to_owned(),
    };
    let output = AppendOutput { chunks: vec![chunk] };
    agent.client.append_output(agent.id, &output).await.unwrap();
}

/// The second attempt of an order whose first one printed something and was given back.
async fn second_attempt(broker: &TestBroker, agent: &TestAgent) -> WorkOrder {
    broker.work_order().for_agent(agent).create().await;
    let first = agent.claim_one().await;
    print(agent, &first, 0, "of the first\n").await;
    agent.release(&first).await.unwrap();
    let second = agent.claim_one().await;
    assert_eq!((second.id, second.attempt), (first.id, 2));
    print(agent, &second, 0, "of the second\n").await;
    second
}

#[rstest]
#[tokio::test]
async fn the_output_of_each_attempt_is_shown_followed_and_taken_away(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let order = second_attempt(&broker, &agent).await;
    let admin = Visitor::signed_in(&broker, broker.admin_pak()).await;

    let page = format!("/orders/{}", order.id);
    let live = format!("/console/live/orders/{}/output", order.id);
    for (query, shown, hidden) in [
        ("", "of the second", "of the first"),
        ("?attempt=2", "of the second", "of the first"),
        ("?attempt=1", "of the first", "of the second"),
    ] {
        for address in [format!("{page}{query}"), format!("{page}/output.txt{query}")] {
            let text = admin.get(&address).await.text;
            assert!(
                text.contains(shown) && !text.contains(hidden),
                "{address}: {text}"
            );
        }
        Live::of(&admin, &format!("{live}{query}"))
            .await
            .until(shown)
            .await;
    }
    let text = admin.get(&page).await.text;
    for number in [1, 2] {
        let link = format!("href=\"{page}?attempt={number}#output-title\"");
        assert!(text.contains(&link), "{link} on {text}");
    }
    Live::of(&admin, &format!("{live}?attempt=1")).await.end().await;
}

/// What came before this place, as offsets and texts.
async fn before(visitor: &Visitor<'_>, order: &WorkOrder, place: &str) -> Vec<(i64, String)> {
    let path = format!("/console/live/orders/{}/output/earlier?{place}", order.id);
    let answer = visitor.get(&path).await;
    assert_eq!(answer.status, 200, "{place}: {}", answer.text);
    let pieces: Vec<Value> = serde_json::from_str(&answer.text).unwrap();
    let told = |piece: &Value| {
        (
            piece["offset"].as_i64().unwrap(),
            piece["text"].as_str().unwrap().to_owned(),
        )
    };
    pieces.iter().map(told).collect()
}

#[rstest]
#[tokio::test]
async fn what_was_printed_before_a_place_ends_there_with_a_whole_character(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    broker.work_order().for_agent(&agent).create().await;
    let order = agent.claim_one().await;
    print(&agent, &order, 0, "one\n").await;
    print(&agent, &order, 4, "zwölf\n").await;
    print(&agent, &order, 11, "three\n").await;
    let admin = Visitor::signed_in(&broker, broker.admin_pak()).await;
    let piece = |offset, text: &str| (offset, text.to_owned());

    for (place, expected) in [
        ("attempt=1&before=0", vec![]),
        ("attempt=1&before=4", vec![piece(0, "one\n")]),
        ("attempt=1&before=7", vec![piece(0, "one\n"), piece(4, "zw")]),
        (
            "attempt=1&before=11",
            vec![piece(0, "one\n"), piece(4, "zwölf\n")],
        ),
        (
            "attempt=1&before=17",
            vec![piece(0, "one\n"), piece(4, "zwölf\n"), piece(11, "three\n")],
        ),
        (
            "attempt=1&before=18446744073709551615",
            vec![piece(11, "three\n")],
        ),
        ("attempt=2&before=11", vec![]),
    ] {
        assert_eq!(before(&admin, &order, place).await, expected, "{place}");
    }
}

#[rstest]
#[tokio::test]
async fn no_more_of_a_long_output_is_read_backwards_than_some_hundred_kilobytes(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    const CHUNK: usize = 100_000;
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    broker.work_order().for_agent(&agent).create().await;
    let order = agent.claim_one().await;
    for offset in (0..6).map(|number| number * CHUNK) {
        let offset = i64::try_from(offset).unwrap();
        print(&agent, &order, offset, &"a".repeat(CHUNK)).await;
    }
    let admin = Visitor::signed_in(&broker, broker.admin_pak()).await;
    let found = before(&admin, &order, "attempt=1&before=600000").await;
    let found: Vec<(i64, usize)> = found.iter().map(|(offset, text)| (*offset, text.len())).collect();
    assert_eq!(found, [(300_000, CHUNK), (400_000, CHUNK), (500_000, CHUNK)]);
}

#[rstest]
#[tokio::test]
async fn places_that_cannot_be_are_refused(#[values(Backend::Postgres, Backend::Sqlite)] backend: Backend) {
    let broker = TestBroker::start(backend).await;
    let order = broker.work_order().label("gpu").create().await.id;
    let admin = Visitor::signed_in(&broker, broker.admin_pak()).await;
    let other = uuid::Uuid::max();
    for (path, status) in [
        (format!("/orders/{order}?attempt=0"), 400),
        (format!("/orders/{order}?attempt=one"), 400),
        (format!("/orders/{order}/output.txt?attempt=-1"), 400),
        (format!("/console/live/orders/{order}/output?attempt=1.5"), 400),
        (format!("/console/live/orders/{order}/output/earlier"), 400),
        (
            format!("/console/live/orders/{order}/output/earlier?attempt=1&before=-1"),
            400,
        ),
        (
            format!("/console/live/orders/{order}/output/earlier?attempt=0&before=1"),
            400,
        ),
        (
            format!("/console/live/orders/{other}/output/earlier?attempt=1&before=1"),
            404,
        ),
        (format!("/orders/{order}?attempt=7"), 200),
    ] {
        assert_eq!(admin.get(&path).await.status, status, "{path}");
    }
    let stranger = Visitor::stranger(&broker);
    let path = format!("/console/live/orders/{order}/output/earlier?attempt=1&before=1");
    assert_eq!(stranger.get(&path).await.status, 303);
}
