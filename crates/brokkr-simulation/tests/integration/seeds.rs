use crate::{many, one};

/// About a minute on two processors. `cargo xtask simulate` takes more.
const SEEDS: u64 = 200;

#[test]
fn no_seed_breaks_a_promise() {
    let summary = many(SEEDS, None).run(|_| {}).expect("the simulations work");
    if let Some(outcome) = summary.failed {
        panic!(
            "seed {} broke promises:\n{}\nwhat happened:\n{}\nagain: cargo xtask simulate --seed {}",
            outcome.seed,
            outcome.violations.join("\n"),
            outcome.story.join("\n"),
            outcome.seed
        );
    }
    assert_eq!(summary.seeds, SEEDS);
    assert!(summary.orders as u64 > SEEDS, "hardly anything was submitted");
    assert!(summary.attempts > summary.orders, "hardly anything went wrong");
}

#[test]
fn a_seed_tells_the_same_story_every_time() {
    for seed in 1_000..1_012 {
        let (first, second) = (one(seed), one(seed));
        let differs = first
            .story
            .iter()
            .zip(&second.story)
            .find(|(one, other)| one != other);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(first, second, "seed {seed}");
    }
}

#[test]
fn another_seed_tells_another_story() {
    assert_ne!(one(1_000).story, one(1_001).story);
}

/// An agent that was cut off heard that a newer process had taken over when that one was gone, ended, and nobody started it again.
#[test]
fn an_agent_that_ends_by_itself_once_everything_is_healed_is_started_again() {
    assert_eq!(one(12_392).violations, Vec::<String>::new());
}

/// Two processes of one agent on two hosts: the newer one ended what the older one was running with the outcome of an earlier
/// attempt that it found.
#[test]
fn a_seed_that_once_broke_a_promise_keeps_them_all() {
    assert_eq!(one(4_235).violations, Vec::<String>::new());
}
