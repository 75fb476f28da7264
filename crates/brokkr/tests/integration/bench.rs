//! Every scenario runs, and its counts add up. Nothing here looks at a time.

use serde_json::Value;

use crate::world::World;

const SCENARIOS: [&str; 8] = [
    "create",
    "drain",
    "latency",
    "backlog",
    "idle-fleet",
    "heartbeat",
    "mixed",
    "soak",
];

const LIMITS: [&str; 6] = [
    "create_single",
    "create_batch",
    "claim_single",
    "claim_batch",
    "lifecycle_single",
    "lifecycle_batch",
];

fn rows<'a>(report: &'a Value, scenario: &str) -> Vec<&'a Value> {
    let rows = report["rows"].as_array().expect("a report has rows");
    rows.iter().filter(|row| row["scenario"] == scenario).collect()
}

async fn short(world: &World, database: &str, more: &[&str]) -> Value {
    let args = [
        "bench",
        "--short",
        "--database",
        database,
        "--json",
        "report.json",
    ];
    world.run(&[&args, more].concat()).await.with_code(0);
    let text = world.lines("report.json").join("\n");
    serde_json::from_str(&text).expect("the report is JSON")
}

async fn every_scenario_adds_up(database: &str) {
    let world = World::new();
    let report = short(&world, database, &SCENARIOS).await;
    for scenario in SCENARIOS {
        let rows = rows(&report, scenario);
        assert!(!rows.is_empty(), "nothing of {scenario} in {report}");
        for row in rows {
            assert_eq!(row["errors"], 0, "{row}");
            // Nobody gets an answer in a fleet that rests.
            let worked = scenario != "idle-fleet";
            assert_eq!(
                row["operations"].as_u64().is_some_and(|done| 0 < done),
                worked,
                "{row}"
            );
        }
    }
    let limits = report["limits"].as_array().expect("a report has limits");
    let names: Vec<&Value> = limits.iter().map(|limit| &limit["name"]).collect();
    assert_eq!(names, LIMITS);
    let batches = rows(&report, "create")[1];
    assert!(
        batches["limit_ratio"].as_f64().is_some_and(|ratio| 0.0 < ratio),
        "{batches}"
    );
}

#[tokio::test]
async fn every_scenario_adds_up_on_sqlite() {
    every_scenario_adds_up("sqlite").await;
}

#[tokio::test]
async fn every_scenario_adds_up_on_postgres() {
    every_scenario_adds_up("postgres").await;
}

#[tokio::test]
async fn a_scenario_runs_with_several_brokers_and_is_compared_with_an_earlier_report() {
    let world = World::new();
    let report = short(&world, "postgres", &["--no-raw", "--replicas", "create"]).await;
    assert_eq!(rows(&report, "create").len(), 6, "{report}");
    let args = [
        "bench",
        "--short",
        "--no-raw",
        "--database",
        "sqlite",
        "create",
        "--compare",
        "report.json",
    ];
    let shown = world.run(&args).await.with_code(0).stdout;
    assert!(shown.contains("3 brokers") && shown.contains("absent"), "{shown}");
}

#[tokio::test]
async fn what_cannot_be_measured_is_refused() {
    let world = World::new();
    world.run(&["bench", "nonsense"]).await.with_code(2);
    let finished = world
        .run(&["bench", "--database", "sqlite", "--brokers", "2", "create"])
        .await;
    assert!(finished.with_code(2).stderr.contains("one broker"));
}
