use super::*;

use futures_util::StreamExt as _;

fn at(second: i64, nanos: u32) -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000 + second, nanos).unwrap()
}

async fn text(logs: &Logs, query: &LogQuery) -> String {
    let chunks: Vec<Bytes> = logs
        .read("uid", "main", query, at(100, 0))
        .unwrap()
        .collect()
        .await;
    String::from_utf8(chunks.concat()).unwrap()
}

#[tokio::test]
async fn a_line_appears_when_it_is_complete_or_the_container_has_ended() {
    let logs = Logs::default();
    let mut writer = logs.begin("uid", "main");
    writer.write(b"one\ntw", at(0, 5));

    assert_eq!(text(&logs, &LogQuery::default()).await, "one\n");
    writer.finish(at(1, 0));
    assert_eq!(text(&logs, &LogQuery::default()).await, "one\ntw\n");
}

#[tokio::test]
async fn since_is_taken_in_whole_seconds_and_the_stamps_have_nine_digits() {
    let logs = Logs::default();
    let mut writer = logs.begin("uid", "main");
    writer.write(b"old\n", at(0, 999_999_999));
    writer.write(b"kept\n", at(1, 5));
    writer.write(b"new\n", at(1, 600_000_000));

    let query = LogQuery {
        timestamps: true,
        since_time: Some(at(1, 500_000_000)),
        ..LogQuery::default()
    };

    assert_eq!(
        text(&logs, &query).await,
        "2023-11-14T22:13:21.000000005Z kept\n2023-11-14T22:13:21.600000000Z new\n"
    );
}

#[tokio::test]
async fn a_follower_reads_until_the_container_ends() {
    let logs = Logs::default();
    let mut writer = logs.begin("uid", "main");
    let query = LogQuery {
        follow: true,
        ..LogQuery::default()
    };
    let mut lines = Box::pin(logs.read("uid", "main", &query, at(0, 0)).unwrap());

    writer.write(b"one\n", at(0, 0));
    assert_eq!(lines.next().await.unwrap(), "one\n");
    writer.write(b"two\n", at(0, 0));
    logs.forget("uid");
    drop(writer);

    assert_eq!(lines.next().await.unwrap(), "two\n");
    assert_eq!(lines.next().await, None);
}

#[tokio::test]
async fn rotation_drops_what_is_older_and_the_tail_counts_from_the_end() {
    let logs = Logs::default();
    let mut writer = logs.begin("uid", "main");
    writer.write(b"1\n2\n", at(0, 0));
    logs.rotate("uid", "main");
    writer.write(b"3\n4\n5\n", at(0, 0));
    let tail = LogQuery {
        tail_lines: Some(2),
        ..LogQuery::default()
    };
    let limit = LogQuery {
        limit_bytes: Some(3),
        ..LogQuery::default()
    };

    assert_eq!(text(&logs, &LogQuery::default()).await, "3\n4\n5\n");
    assert_eq!(text(&logs, &tail).await, "4\n5\n");
    assert_eq!(text(&logs, &limit).await, "3\n4");
}

#[tokio::test]
async fn the_previous_run_is_the_one_before_the_last_restart() {
    let logs = Logs::default();
    let previous = LogQuery {
        previous: true,
        ..LogQuery::default()
    };
    let missing = |query: &LogQuery| logs.read("uid", "main", query, at(0, 0)).err();
    assert_eq!(missing(&LogQuery::default()), Some(NoLog::NotStarted));

    logs.begin("uid", "main").write(b"first\n", at(0, 0));
    assert_eq!(missing(&previous), Some(NoLog::NoPrevious));
    logs.begin("uid", "main").write(b"second\n", at(0, 0));

    assert_eq!(text(&logs, &previous).await, "first\n");
    assert_eq!(text(&logs, &LogQuery::default()).await, "second\n");
}
