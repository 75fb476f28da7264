use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::*;

/// Doubles numbers, each batch once it is let go. 13 is refused by the database, 7 breaks the code, 77 does so after the commit, 99 finds it away.
#[derive(Clone)]
struct Doubling(Arc<Seen>);

struct Seen {
    may_go: Semaphore,
    batches: Mutex<Vec<Vec<u32>>>,
    nobody_took: AtomicUsize,
}

impl Doubling {
    fn new() -> Self {
        Self(Arc::new(Seen {
            may_go: Semaphore::new(0),
            batches: Mutex::default(),
            nobody_took: AtomicUsize::new(0),
        }))
    }

    fn let_go(&self, batches: usize) {
        self.0.may_go.add_permits(batches);
    }

    fn batches(&self) -> Vec<Vec<u32>> {
        self.0.batches.lock().unwrap().clone()
    }
}

impl Batch for Doubling {
    type Request = u32;
    type Answer = u32;
    type Key = u32;

    const NAME: &'static str = "doubling";
    const DONE_FOR_NOBODY: bool = false;

    fn weight(request: &u32) -> usize {
        if *request >= 1_000 { 1_000 } else { 1 }
    }

    fn keys(request: &u32) -> Vec<u32> {
        vec![*request]
    }

    async fn run(&self, requests: &[u32], commit: &Commit) -> Result<Vec<u32>, DalError> {
        self.0.batches.lock().unwrap().push(requests.to_vec());
        self.0.may_go.acquire().await.unwrap().forget();
        if requests.contains(&13) {
            return Err(DalError::NulCharacter {
                statement: "doubling",
            });
        }
        assert!(!requests.contains(&7), "seven");
        if requests.contains(&77) {
            commit.begin();
            panic!("after the commit");
        }
        if requests.contains(&99) {
            let source = sqlx::Error::PoolTimedOut;
            return Err(DalError::Unavailable {
                operation: "doubling",
                source,
            });
        }
        Ok(requests.iter().map(|number| number * 2).collect())
    }

    async fn undelivered(&self, _: u32) {
        self.0.nobody_took.fetch_add(1, Ordering::SeqCst);
    }
}

struct Scene {
    batch: Doubling,
    coalescer: Arc<Coalescer<Doubling>>,
}

type Call = tokio::task::JoinHandle<Result<u32, DalError>>;

impl Scene {
    fn new(waiting_max: usize, weight_max: usize) -> Self {
        Self::with(Bounds {
            waiting_max,
            weight_max,
            running_max: 1,
        })
    }

    fn with(bounds: Bounds) -> Self {
        Self {
            batch: Doubling::new(),
            coalescer: Arc::new(Coalescer::new(bounds)),
        }
    }

    async fn submit(&self, number: u32) -> Call {
        let (batch, coalescer) = (self.batch.clone(), Arc::clone(&self.coalescer));
        let call = tokio::spawn(async move { coalescer.submit(&batch, number).await });
        settle().await;
        call
    }

    async fn submit_all(&self, numbers: &[u32]) -> Vec<Call> {
        let mut calls = Vec::new();
        for number in numbers {
            calls.push(self.submit(*number).await);
        }
        calls
    }
}

/// Lets every other task of the test's one thread come to where it waits.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

async fn answer(call: Call) -> Result<u32, DalError> {
    tokio::time::timeout(Duration::from_secs(10), call)
        .await
        .expect("an answer comes")
        .expect("the caller does not panic")
}

#[tokio::test]
async fn what_comes_while_a_batch_is_under_way_goes_together_and_each_gets_its_own_answer() {
    let scene = Scene::new(100, 100);
    let calls = scene.submit_all(&[1, 2, 3, 4]).await;
    scene.batch.let_go(2);
    for (call, expected) in calls.into_iter().zip([2, 4, 6, 8]) {
        assert_eq!(answer(call).await.unwrap(), expected);
    }
    assert_eq!(scene.batch.batches(), [vec![1], vec![2, 3, 4]]);
}

#[tokio::test]
async fn a_request_that_the_database_refuses_fails_alone() {
    let scene = Scene::new(100, 100);
    let mut calls = scene.submit_all(&[1, 2, 13, 4]).await;
    scene.batch.let_go(100);
    let refused = calls.remove(2);
    assert!(matches!(
        answer(refused).await,
        Err(DalError::NulCharacter { .. })
    ));
    for (call, expected) in calls.into_iter().zip([2, 4, 8]) {
        assert_eq!(answer(call).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn a_request_that_breaks_the_code_fails_alone() {
    let scene = Scene::new(100, 100);
    let mut calls = scene.submit_all(&[1, 2, 7]).await;
    scene.batch.let_go(100);
    assert!(matches!(
        answer(calls.remove(2)).await,
        Err(DalError::Aborted { .. })
    ));
    assert_eq!(answer(calls.remove(1)).await.unwrap(), 4);
    let after = scene.submit(5).await;
    assert_eq!(answer(after).await.unwrap(), 10);
}

#[tokio::test]
async fn a_database_that_is_away_is_away_for_the_whole_batch_and_nothing_is_tried_twice() {
    let scene = Scene::new(100, 100);
    let mut calls = scene.submit_all(&[1, 2, 99]).await;
    scene.batch.let_go(100);
    assert!(answer(calls.remove(2)).await.unwrap_err().transient());
    assert!(answer(calls.remove(1)).await.unwrap_err().transient());
    assert_eq!(scene.batch.batches(), [vec![1], vec![2, 99]]);
}

#[tokio::test]
async fn what_may_have_been_done_is_not_done_again() {
    let scene = Scene::new(100, 100);
    let mut calls = scene.submit_all(&[1, 2, 77]).await;
    scene.batch.let_go(100);
    assert!(answer(calls.remove(2)).await.is_err());
    assert!(answer(calls.remove(1)).await.is_err());
    assert_eq!(scene.batch.batches(), [vec![1], vec![2, 77]]);
}

#[tokio::test]
async fn one_request_too_many_is_refused_at_once() {
    let scene = Scene::new(2, 100);
    let calls = scene.submit_all(&[1, 2, 3]).await;
    let refused = scene.submit(4).await;
    assert!(matches!(answer(refused).await, Err(DalError::Overrun { .. })));
    scene.batch.let_go(100);
    for call in calls {
        answer(call).await.unwrap();
    }
}

#[tokio::test]
async fn a_caller_that_goes_away_takes_nothing_from_the_others() {
    let scene = Scene::new(100, 100);
    let calls = scene.submit_all(&[1, 2, 3]).await;
    let [first, second, third] = calls.try_into().expect("three calls");
    // One is under way, the other one waits.
    first.abort();
    second.abort();
    settle().await;
    scene.batch.let_go(100);
    assert_eq!(answer(third).await.unwrap(), 6);
    assert_eq!(scene.batch.batches(), [vec![1], vec![3]]);
    assert_eq!(scene.batch.0.nobody_took.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn requests_about_the_same_thing_go_one_after_the_other_in_their_order() {
    let scene = Scene::new(100, 100);
    let calls = scene.submit_all(&[1, 5, 6, 5, 8]).await;
    scene.batch.let_go(100);
    for call in calls {
        answer(call).await.unwrap();
    }
    assert_eq!(scene.batch.batches(), [vec![1], vec![5, 6], vec![5, 8]]);
}

#[tokio::test]
async fn a_batch_has_a_bound_and_what_is_heavier_than_that_goes_alone() {
    let scene = Scene::new(100, 2);
    let calls = scene.submit_all(&[1, 2, 3, 4, 1_000, 5]).await;
    scene.batch.let_go(100);
    for call in calls {
        answer(call).await.unwrap();
    }
    assert_eq!(
        scene.batch.batches(),
        [vec![1], vec![2, 3], vec![4], vec![1_000], vec![5]]
    );
}

/// Batches of at most two, of which two may be under way.
fn beside_each_other() -> Scene {
    Scene::with(Bounds {
        waiting_max: 100,
        weight_max: 2,
        running_max: 2,
    })
}

#[tokio::test]
async fn a_second_batch_goes_beside_the_first_once_it_is_full_and_a_third_does_not() {
    let scene = beside_each_other();
    let mut calls = scene.submit_all(&[1, 2]).await;
    assert_eq!(scene.batch.batches(), [vec![1]]);
    calls.extend(scene.submit_all(&[3, 4, 5]).await);
    assert_eq!(scene.batch.batches(), [vec![1], vec![2, 3]]);
    scene.batch.let_go(100);
    for call in calls {
        answer(call).await.unwrap();
    }
    assert_eq!(scene.batch.batches(), [vec![1], vec![2, 3], vec![4, 5]]);
}

#[tokio::test]
async fn what_is_about_the_same_thing_as_a_batch_under_way_waits_for_it_however_much_waits_behind() {
    let scene = beside_each_other();
    let calls = scene.submit_all(&[1, 1, 6, 8]).await;
    assert_eq!(scene.batch.batches(), [vec![1]]);
    scene.batch.let_go(100);
    for call in calls {
        answer(call).await.unwrap();
    }
    assert_eq!(scene.batch.batches(), [vec![1], vec![1, 6], vec![8]]);
}
