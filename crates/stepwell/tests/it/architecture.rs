//! The map in ARCHITECTURE.md holds: who may depend on whom.

use std::process::Command;

use serde_json::Value;

/// The names of a package's normal dependencies.
fn dependencies(package: &str) -> Vec<String> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let package = packages
        .iter()
        .find(|found| found["name"] == package)
        .unwrap();
    let normal = package["dependencies"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|d| d["kind"].is_null());
    normal
        .map(|found| found["name"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn core_knows_no_store_no_web_framework_and_no_broker() {
    let forbidden = [
        "axum",
        "http",
        "hyper",
        "rusqlite",
        "sqlx",
        "tokio-postgres",
        "rdkafka",
    ];
    let core = dependencies("stepwell-core");
    assert!(core.contains(&"tokio".to_owned()), "{core:?}");
    for name in core {
        assert!(
            !forbidden.contains(&name.as_str()),
            "core depends on {name}"
        );
        assert!(!name.starts_with("stepwell"), "core depends on {name}");
    }
}

#[test]
fn what_stands_on_core_stands_on_nothing_else_of_ours() {
    for package in ["stepwell-sqlite", "stepwell-axum", "stepwell-conformance"] {
        let ours: Vec<_> = dependencies(package)
            .into_iter()
            .filter(|name| name.starts_with("stepwell"))
            .collect();
        assert_eq!(ours, ["stepwell-core"], "{package}");
    }
}

#[test]
fn what_runs_on_either_database_stands_on_both_stores_and_on_core() {
    let mut ours = dependencies("stepwell-any");
    ours.retain(|name| name.starts_with("stepwell"));
    assert_eq!(
        ours,
        ["stepwell-core", "stepwell-postgres", "stepwell-sqlite"]
    );
}
