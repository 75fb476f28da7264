//! Which crate may know which.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, MetadataCommand};

use crate::sources::root;

/// What each crate needs besides its tests, by name.
fn edges() -> BTreeMap<String, BTreeSet<String>> {
    let manifest = root().join("Cargo.toml");
    let metadata = MetadataCommand::new()
        .manifest_path(manifest)
        .no_deps()
        .exec()
        .expect("cargo metadata answers");
    let crates = metadata.packages.iter().map(|package| {
        let needed = package
            .dependencies
            .iter()
            .filter(|needed| needed.kind != DependencyKind::Development);
        (
            package.name.to_string(),
            needed.map(|needed| needed.name.clone()).collect(),
        )
    });
    crates.collect()
}

fn ours(needed: &BTreeSet<String>) -> Vec<&str> {
    needed
        .iter()
        .map(String::as_str)
        .filter(|name| name.starts_with("brokkr"))
        .collect()
}

#[test]
fn the_core_knows_no_other_crate_and_nothing_of_the_outside() {
    let needed = &edges()["brokkr-core"];
    assert_eq!(ours(needed), [""; 0]);
    for outside in [
        "tokio",
        "sqlx",
        "axum",
        "serde",
        "serde_json",
        "reqwest",
        "http",
        "tracing",
        "getrandom",
        "rand",
    ] {
        assert!(!needed.contains(outside), "brokkr-core depends on {outside}");
    }
}

#[test]
fn the_wire_types_know_no_other_crate() {
    assert_eq!(ours(&edges()["brokkr-api"]), [""; 0]);
}

#[test]
fn the_client_knows_the_wire_types_only() {
    assert_eq!(ours(&edges()["brokkr-client"]), ["brokkr-api"]);
}

#[test]
fn the_bench_knows_a_broker_only_as_its_users_do() {
    let edges = edges();
    assert_eq!(
        ours(&edges["brokkr-bench"]),
        ["brokkr-client", "brokkr-testkit-postgres"]
    );
    for (name, needed) in edges {
        assert!(
            name == "brokkr" || !needed.contains("brokkr-bench"),
            "{name} depends on brokkr-bench"
        );
    }
}

#[test]
fn the_agent_and_the_broker_do_not_know_each_other() {
    let edges = edges();
    assert!(
        !edges["brokkr-agent"].contains("brokkr-broker"),
        "brokkr-agent depends on brokkr-broker"
    );
    assert!(
        !edges["brokkr-broker"].contains("brokkr-agent"),
        "brokkr-broker depends on brokkr-agent"
    );
    assert!(
        !edges["brokkr-broker"].contains("brokkr-client"),
        "brokkr-broker depends on brokkr-client"
    );
}

#[test]
fn the_campaign_knows_brokers_and_agents_only_as_their_users_do() {
    let edges = edges();
    assert_eq!(
        ours(&edges["brokkr-chaos"]),
        ["brokkr-client", "brokkr-testkit-postgres"]
    );
    for (name, needed) in edges {
        assert!(!needed.contains("brokkr-chaos"), "{name} depends on brokkr-chaos");
    }
}

/// A measurement needs a throwaway cluster as much as a test does.
#[test]
fn only_development_needs_the_test_kit() {
    for (name, needed) in edges() {
        let development = name.starts_with("brokkr-testkit") || name == "xtask" || name == "brokkr-chaos";
        let kit = needed.iter().find(|needed| {
            let cluster_of_bench = name == "brokkr-bench" && *needed == "brokkr-testkit-postgres";
            needed.starts_with("brokkr-testkit") && !cluster_of_bench
        });
        assert!(
            development || kit.is_none(),
            "{name} depends on {kit:?} outside of its tests"
        );
    }
}

/// A broker whose guards can be taken away is for simulations alone.
#[test]
fn no_product_has_the_switches_of_the_simulation() {
    const SWITCHES: &str = "simulation";
    let manifest = root().join("Cargo.toml");
    let metadata = MetadataCommand::new().manifest_path(manifest).no_deps().exec();
    for package in metadata.expect("cargo metadata answers").packages {
        let turns_on = package.dependencies.iter().any(|needed| {
            needed.name == "brokkr-broker" && needed.features.iter().any(|feature| feature == SWITCHES)
        });
        assert_eq!(
            turns_on,
            *package.name == "brokkr-simulation",
            "{} and the switches",
            package.name
        );
        for (feature, turned_on) in &package.features {
            assert!(
                !turned_on.iter().any(|name| name.ends_with(SWITCHES)),
                "{} turns the switches on with its feature {feature}",
                package.name
            );
        }
        let needs_it = package
            .dependencies
            .iter()
            .any(|needed| needed.name == "brokkr-simulation");
        assert!(!needs_it, "{} depends on brokkr-simulation", package.name);
    }
    let product = std::fs::read_to_string(root().join("crates/brokkr/src/main.rs")).expect("it can be read");
    assert!(
        product.contains("!brokkr_broker::guards::REMOVABLE"),
        "a release build of the product no longer refuses the switches"
    );
}

#[test]
fn every_foreign_crate_comes_from_the_public_registry() {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).expect("the lock file can be read");
    let foreign: Vec<_> = lock
        .lines()
        .filter_map(|line| line.strip_prefix("source = "))
        .filter(|source| *source != "\"registry+https://github.com/rust-lang/crates.io-index\"")
        .collect();
    assert!(foreign.is_empty(), "Cargo.lock names other sources: {foreign:?}");
}
