use brokkr_broker::dal::idempotency_keys::{self, IdempotencyKey, Seen};
use brokkr_testkit::{Backend, TestDb};
use rstest::rstest;

use super::samples::at;

fn key(principal: &str, key: &str) -> IdempotencyKey {
    IdempotencyKey {
        principal: principal.to_owned(),
        key: key.to_owned(),
    }
}

fn with_body(key: IdempotencyKey, body_hash: &str) -> (IdempotencyKey, String) {
    (key, body_hash.to_owned())
}

#[rstest]
#[tokio::test]
async fn a_key_is_new_once_and_then_answers_what_was_stored(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let db = TestDb::start(backend).await;
    let mine = key("admin:a", "deploy 7");
    let mut tx = db.begin().await.unwrap();
    let new = idempotency_keys::claim(&mut tx, &[with_body(mine.clone(), "hash")], at(0))
        .await
        .unwrap();
    assert!(new.contains(&mine));
    let answers = [(mine.clone(), 201, r#"{"id": "x"}"#.to_owned())];
    idempotency_keys::store(&mut tx, &answers).await.unwrap();
    tx.commit().await.unwrap();

    let mut tx = db.begin().await.unwrap();
    let new = idempotency_keys::claim(&mut tx, &[with_body(mine.clone(), "other")], at(1))
        .await
        .unwrap();
    assert!(new.is_empty());
    let seen = idempotency_keys::find(&mut tx, std::slice::from_ref(&mine))
        .await
        .unwrap();
    let answer = Some((201, r#"{"id": "x"}"#.to_owned()));
    assert_eq!(
        seen,
        [Seen {
            key: mine,
            body_hash: "hash".to_owned(),
            answer
        }]
    );
}

#[rstest]
#[tokio::test]
async fn two_callers_may_use_the_same_word(#[values(Backend::Postgres, Backend::Sqlite)] backend: Backend) {
    let db = TestDb::start(backend).await;
    let mut tx = db.begin().await.unwrap();
    let keys = [
        with_body(key("admin:a", "k"), "1"),
        with_body(key("generator:b", "k"), "2"),
    ];

    let new = idempotency_keys::claim(&mut tx, &keys, at(0)).await.unwrap();

    assert_eq!(new.len(), 2);
}

#[rstest]
#[tokio::test]
async fn a_key_that_is_given_twice_in_one_batch_is_new_once(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let db = TestDb::start(backend).await;
    let mut tx = db.begin().await.unwrap();
    let keys = [with_body(key("a", "k"), "1"), with_body(key("a", "k"), "1")];

    let new = idempotency_keys::claim(&mut tx, &keys, at(0)).await.unwrap();

    assert_eq!(new.len(), 1);
    assert_eq!(
        idempotency_keys::find(&mut tx, &[key("a", "k")])
            .await
            .unwrap()
            .len(),
        1
    );
}

#[rstest]
#[tokio::test]
async fn a_key_whose_act_was_rolled_back_is_new_again(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let db = TestDb::start(backend).await;
    let keys = [with_body(key("a", "k"), "1")];
    let mut tx = db.begin().await.unwrap();
    idempotency_keys::claim(&mut tx, &keys, at(0)).await.unwrap();
    drop(tx);

    let mut tx = db.begin().await.unwrap();
    assert_eq!(
        idempotency_keys::claim(&mut tx, &keys, at(1))
            .await
            .unwrap()
            .len(),
        1
    );
}

#[rstest]
#[tokio::test]
async fn of_many_equal_requests_at_once_one_is_the_first_and_all_others_find_its_answer(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let db = TestDb::start(backend).await;
    let requests: Vec<_> = (0..8_u32)
        .map(|number| {
            let db = db.db().clone();
            tokio::spawn(async move {
                let mut tx = db.begin().await.unwrap();
                let mine = key("a", "k");
                let new = idempotency_keys::claim(&mut tx, &[with_body(mine.clone(), "1")], at(0))
                    .await
                    .unwrap();
                if new.is_empty() {
                    let seen = idempotency_keys::find(&mut tx, &[mine]).await.unwrap();
                    return (false, seen[0].answer.clone().unwrap().0);
                }
                idempotency_keys::store(&mut tx, &[(mine, number, "{}".to_owned())])
                    .await
                    .unwrap();
                tx.commit().await.unwrap();
                (true, number)
            })
        })
        .collect();
    let mut answers = Vec::new();
    for request in requests {
        answers.push(request.await.unwrap());
    }

    assert_eq!(answers.iter().filter(|(first, _)| *first).count(), 1);
    assert!(
        answers.iter().all(|(_, answer)| *answer == answers[0].1),
        "{answers:?}"
    );
}

#[rstest]
#[tokio::test]
async fn old_keys_are_forgotten_oldest_first(#[values(Backend::Postgres, Backend::Sqlite)] backend: Backend) {
    let db = TestDb::start(backend).await;
    let mut tx = db.begin().await.unwrap();
    for second in 0..4 {
        let keys = [with_body(key("a", &second.to_string()), "1")];
        idempotency_keys::claim(&mut tx, &keys, at(second)).await.unwrap();
    }

    assert_eq!(idempotency_keys::prune(&mut tx, at(3), 1).await.unwrap(), 1);
    assert!(
        idempotency_keys::find(&mut tx, &[key("a", "0")])
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(idempotency_keys::prune(&mut tx, at(3), 9).await.unwrap(), 2);
    assert_eq!(
        idempotency_keys::find(&mut tx, &[key("a", "3")])
            .await
            .unwrap()
            .len(),
        1
    );
}
