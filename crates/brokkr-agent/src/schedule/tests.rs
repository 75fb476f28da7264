use super::*;

const NOON: i64 = 1_795_348_800;

struct At(i64);

impl Clock for At {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp(self.0, 0).unwrap()
    }
}

fn schedule(policy: &str, at: i64) -> Schedule {
    Schedule {
        openings: Arc::new(ClusterPolicy::parse(policy).unwrap()),
        clock: Arc::new(At(at)),
        slots: 4,
        look_again: Duration::from_secs(5),
    }
}

fn situation(held: &[(&str, usize)]) -> Situation {
    Situation {
        held: held
            .iter()
            .map(|(name, count)| ((*name).to_owned(), *count))
            .collect(),
        work_types: vec!["build".to_owned(), "custom".to_owned()],
        unavailable: Some(BTreeMap::new()),
    }
}

/// Every day from 12:00 to 13:00.
const WINDOW: &str = "windows: [{start: '0 12 * * *', duration: 1h}]";

#[test]
fn without_rules_everything_may_be_claimed_into_the_free_slots() {
    let chance = schedule("{}", NOON).chance(&situation(&[("custom", 1)]));
    assert_eq!((chance.max, chance.work_types.len()), (3, 2));
    assert_eq!((chance.holds, chance.state.as_str()), (Duration::MAX, RUNNING));
}

#[test]
fn a_request_for_several_types_never_asks_for_more_than_the_narrowest_has_room_for() {
    let schedule = schedule("slots: {build: 2}", NOON);
    assert_eq!(schedule.chance(&situation(&[])).max, 2);
    let one_left = schedule.chance(&situation(&[("build", 1)]));
    assert_eq!((one_left.max, one_left.work_types.len()), (1, 2));
}

#[test]
fn a_type_whose_slots_are_taken_leaves_the_others_theirs() {
    let chance = schedule("slots: {build: 2}", NOON).chance(&situation(&[("build", 2)]));
    assert_eq!((chance.max, chance.work_types), (2, vec!["custom".to_owned()]));
    assert_eq!(
        chance.holds,
        Duration::from_secs(5),
        "the type is asked for again soon"
    );
}

#[test]
fn more_that_is_held_than_there_are_slots_leaves_no_chance() {
    let full = schedule("{}", NOON).chance(&situation(&[("custom", 5)]));
    assert_eq!(full.max, 0);
    let of_type =
        schedule("slots: {build: 1, custom: 1}", NOON).chance(&situation(&[("build", 3), ("custom", 1)]));
    assert_eq!(of_type.max, 0);
}

#[test]
fn a_closed_window_lets_nothing_be_claimed_and_says_until_when() {
    let chance = schedule(WINDOW, NOON - 3600).chance(&situation(&[]));
    assert_eq!(chance.max, 0);
    assert_eq!(
        chance.state,
        "closed until 2026-11-22T12:00:00Z (maintenance window)"
    );
}

#[test]
fn no_request_waits_beyond_the_end_of_a_window() {
    let chance = schedule(WINDOW, NOON + 3590).chance(&situation(&[]));
    assert_eq!((chance.max, chance.holds), (4, Duration::from_secs(10)));
    assert_eq!(schedule(WINDOW, NOON + 3600).chance(&situation(&[])).max, 0);
}

#[test]
fn a_type_that_is_not_available_is_left_out_and_the_state_says_why() {
    let mut situation = situation(&[]);
    let mut reasons = BTreeMap::from([("build".to_owned(), "Shipwright is not there".to_owned())]);
    situation.unavailable = Some(reasons.clone());
    let chance = schedule("{}", NOON).chance(&situation);
    assert_eq!(chance.work_types, ["custom"]);
    assert_eq!(chance.state, "running; no build: Shipwright is not there");
    reasons.insert("custom".to_owned(), "x\n".repeat(80));
    situation.unavailable = Some(reasons);
    let nothing = schedule("{}", NOON).chance(&situation);
    assert_eq!(nothing.max, 0);
    assert_eq!(nothing.state.chars().count(), STATE_CHARS_MAX);
    assert!(nothing.state.ends_with('…') && !nothing.state.contains('\n'));
}

#[test]
fn nothing_is_claimed_before_the_executors_have_been_asked() {
    let situation = Situation {
        unavailable: None,
        ..situation(&[])
    };
    let chance = schedule("{}", NOON).chance(&situation);
    assert_eq!((chance.max, chance.state.as_str()), (0, RUNNING));
}
