//! What the work printed.

use brokkr_broker::dal::output::{self, Chunk, NewChunk};
use brokkr_core::attempt::Attempt;
use brokkr_core::life::Event;
use brokkr_testkit::Backend::{self, Postgres, Sqlite};
use rstest::rstest;

use super::queue::{Queue, id};
use super::samples::{agent_id, at};

const FIRST: Attempt = Attempt::new(1);

fn chunk(order: u64, attempt: u32, offset: u64, data: &[u8]) -> NewChunk {
    NewChunk {
        id: id(order),
        attempt: Attempt::new(attempt.into()),
        offset,
        stream: "stdout".to_owned(),
        at: at(offset),
        data: data.to_vec(),
    }
}

async fn append(queue: &Queue, agent: u128, chunks: &[NewChunk]) -> usize {
    queue
        .write(async |tx| {
            output::append_many(tx, chunks.iter().map(|chunk| (agent_id(agent), chunk)))
                .await
                .unwrap()
        })
        .await
        .len()
}

async fn page(queue: &Queue, after: u64, limit: u32) -> Vec<Chunk> {
    queue
        .read(async |tx| output::page(tx, id(1), FIRST, after, limit).await.unwrap())
        .await
}

fn text(chunks: &[Chunk]) -> String {
    chunks
        .iter()
        .map(|chunk| String::from_utf8_lossy(&chunk.data))
        .collect()
}

#[rstest]
#[tokio::test]
async fn output_is_read_back_byte_for_byte_in_its_order(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    queue.claimed(1).await;
    let bytes = [0, 255, b'\n', 0xC3, b'"', b'\\'];
    let stderr = NewChunk {
        stream: "stderr".to_owned(),
        ..chunk(1, 1, 6, b"later")
    };

    append(&queue, 1, &[stderr, chunk(1, 1, 0, &bytes)]).await;

    let first = Chunk {
        offset: 0,
        stream: "stdout".to_owned(),
        at: at(0),
        data: bytes.to_vec(),
    };
    let second = Chunk {
        offset: 6,
        stream: "stderr".to_owned(),
        at: at(6),
        data: b"later".to_vec(),
    };
    assert_eq!(page(&queue, 0, 9).await, [first, second]);
}

#[rstest]
#[tokio::test]
async fn a_chunk_sent_again_changes_nothing(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    queue.claimed(1).await;
    append(&queue, 1, &[chunk(1, 1, 0, b"hello ")]).await;

    assert_eq!(
        append(&queue, 1, &[chunk(1, 1, 0, b"HELLO "), chunk(1, 1, 6, b"world")]).await,
        1
    );
    assert_eq!(
        append(&queue, 1, &[chunk(1, 1, 0, b"hello "), chunk(1, 1, 6, b"world")]).await,
        0
    );

    assert_eq!(text(&page(&queue, 0, 9).await), "hello world");
}

#[rstest]
#[tokio::test]
async fn a_chunk_twice_in_one_batch_is_stored_once(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    queue.claimed(1).await;

    assert_eq!(
        append(&queue, 1, &[chunk(1, 1, 0, b"a"), chunk(1, 1, 0, b"a")]).await,
        1
    );
}

#[rstest]
#[tokio::test]
async fn only_the_current_attempt_of_the_holder_appends(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    queue.claimed(2).await;
    queue.apply(2, Event::Succeed { attempt: FIRST }).await.unwrap();

    assert_eq!(append(&queue, 1, &[chunk(1, 2, 0, b"too new")]).await, 0);
    assert_eq!(append(&queue, 2, &[chunk(1, 1, 0, b"not mine")]).await, 0);
    assert_eq!(
        append(
            &queue,
            1,
            &[chunk(2, 1, 0, b"ended"), chunk(77, 1, 0, b"unknown")]
        )
        .await,
        0
    );
    assert_eq!(
        append(&queue, 1, &[chunk(1, 1, 0, b"mine"), chunk(2, 1, 0, b"ended")]).await,
        1
    );
}

#[rstest]
#[tokio::test]
async fn an_empty_chunk_does_not_take_the_place_of_the_next(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    queue.claimed(1).await;

    assert_eq!(append(&queue, 1, &[chunk(1, 1, 0, b"")]).await, 0);
    assert_eq!(append(&queue, 1, &[chunk(1, 1, 0, b"x")]).await, 1);
}

#[rstest]
#[tokio::test]
async fn a_page_begins_with_the_chunk_in_which_its_offset_lies(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    queue.claimed(1).await;
    append(
        &queue,
        1,
        &[
            chunk(1, 1, 0, b"one "),
            chunk(1, 1, 4, b"two "),
            chunk(1, 1, 8, b"three"),
        ],
    )
    .await;

    assert_eq!(text(&page(&queue, 0, 2).await), "one two ");
    assert_eq!(text(&page(&queue, 4, 9).await), "two three");
    assert_eq!(text(&page(&queue, 5, 9).await), "two three");
    assert_eq!(text(&page(&queue, 13, 9).await), "");
    assert_eq!(text(&page(&queue, u64::MAX, 9).await), "");
}

#[rstest]
#[tokio::test]
async fn the_lengths_of_many_outputs_are_told_at_once(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    queue.claimed(3).await;
    append(
        &queue,
        1,
        &[
            chunk(1, 1, 0, b"abc"),
            chunk(1, 1, 3, b"de"),
            chunk(2, 1, 0, b"f"),
        ],
    )
    .await;
    let asked = [1, 2, 3].map(|number| (id(number), FIRST));

    let mut lengths = queue
        .read(async |tx| output::lengths(tx, asked).await.unwrap())
        .await;

    lengths.sort();
    assert_eq!(lengths, [(id(1), FIRST, 5), (id(2), FIRST, 1)]);
}

#[rstest]
#[tokio::test]
async fn each_attempt_has_an_output_of_its_own(#[values(Postgres, Sqlite)] backend: Backend) {
    let queue = Queue::start(backend).await;
    queue.claimed(1).await;
    append(&queue, 1, &[chunk(1, 1, 0, b"first")]).await;
    queue.apply(1, Event::HolderRemoved).await.unwrap();
    queue.claim(1, 1, &[]).await;
    append(&queue, 1, &[chunk(1, 2, 0, b"second")]).await;

    let latest = queue
        .read(async |tx| output::latest_attempt(tx, id(1)).await.unwrap())
        .await;

    assert_eq!(text(&page(&queue, 0, 9).await), "first");
    assert_eq!(latest, Some(Attempt::new(2)));
    assert_eq!(
        queue
            .read(async |tx| output::latest_attempt(tx, id(2)).await.unwrap())
            .await,
        None
    );
}
