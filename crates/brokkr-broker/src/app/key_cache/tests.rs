use super::*;

const NOW: Timestamp = Timestamp::from_micros(1_000_000);

fn pak(seed: u8) -> Pak {
    Pak::from_random([seed; 32])
}

fn credential(pak: &Pak) -> Credential {
    Credential {
        short: pak.short().clone(),
        hash: pak.hash(),
        role: Role::Admin,
        name: None,
        created_at: NOW,
        expires_at: None,
    }
}

fn open() -> KeyCache {
    let keys = KeyCache::new(KEPT);
    keys.open();
    keys
}

fn remember(keys: &KeyCache, pak: &Pak) {
    keys.remember(keys.look_up(), &credential(pak));
}

#[test]
fn a_key_that_was_accepted_is_known_until_it_is_forgotten() {
    let (keys, one, other) = (open(), pak(1), pak(2));
    remember(&keys, &one);
    remember(&keys, &other);
    assert_eq!(
        keys.find(&one, NOW).map(|caller| caller.key),
        Some(one.short().clone())
    );

    keys.forget(std::slice::from_ref(one.short()));
    assert_eq!(keys.find(&one, NOW), None);
    assert!(keys.find(&other, NOW).is_some());
}

#[test]
fn both_parts_of_a_key_must_be_right() {
    let (keys, known) = (open(), pak(1));
    remember(&keys, &known);
    let crossed = format!("brokkr_BR{}_{}", known.short(), "a".repeat(32));
    assert_eq!(keys.find(&Pak::parse(&crossed).unwrap(), NOW), None);
}

#[test]
fn a_key_dies_when_it_expires_however_long_it_would_be_remembered() {
    let (keys, pak) = (open(), pak(1));
    let expires_at = NOW.plus_seconds(5);
    let credential = Credential {
        expires_at: Some(expires_at),
        ..credential(&pak)
    };
    keys.remember(keys.look_up(), &credential);
    assert!(keys.find(&pak, NOW.plus_seconds(4)).is_some());
    assert_eq!(keys.find(&pak, expires_at), None);
}

#[test]
fn what_was_looked_up_before_a_revocation_is_not_remembered() {
    let (keys, pak) = (open(), pak(1));
    let lookup = keys.look_up();
    drop(keys.forgetting(std::slice::from_ref(pak.short())));
    keys.remember(lookup, &credential(&pak));
    assert_eq!(keys.find(&pak, NOW), None);
}

#[test]
fn a_closed_cache_knows_nothing_and_learns_nothing() {
    let (keys, known) = (open(), pak(1));
    remember(&keys, &known);
    keys.close();
    remember(&keys, &pak(2));
    let before = keys.look_up();
    keys.open();
    keys.remember(before, &credential(&pak(3)));
    for seed in 1..=3 {
        assert_eq!(keys.find(&pak(seed), NOW), None, "{seed}");
    }
    remember(&keys, &known);
    assert!(keys.find(&known, NOW).is_some());
}

#[test]
fn a_cache_that_keeps_nothing_for_any_time_is_off() {
    let (keys, pak) = (KeyCache::new(Duration::ZERO), pak(1));
    keys.open();
    remember(&keys, &pak);
    assert_eq!(keys.find(&pak, NOW), None);
}
