//! Dependencies point inward: the domain knows nothing of the world.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::process::Command;

/// The crates that `package` is built with, without those of its tests.
fn dependencies(package: &str) -> Vec<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--package", package, "--edges", "normal", "--prefix", "none"])
        .args(["--format", "{p}", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .filter_map(|line| line.split(' ').next().map(str::to_owned))
        .collect()
}

fn assert_free_of(package: &str, strangers: &[&str]) {
    let known = dependencies(package);
    assert!(known.iter().any(|name| name == package), "{known:?}");
    for stranger in strangers {
        assert!(!known.iter().any(|name| name == stranger), "{package} knows {stranger}");
    }
}

#[test]
fn the_domain_knows_no_server_and_no_transport() {
    assert_free_of(
        "parley-domain",
        &["async-nats", "sqlx", "axum", "hyper", "parley-runtime", "tracing", "rand"],
    );
}

#[test]
fn the_log_knows_no_database_and_no_http() {
    assert_free_of("parley-nats", &["sqlx", "axum", "hyper", "parley-projections"]);
}

#[test]
fn commands_and_projections_know_no_http() {
    for package in ["parley-commands", "parley-projections"] {
        assert_free_of(package, &["axum", "hyper", "parley-gateway"]);
    }
    assert_free_of("parley-projections", &["parley-commands"]);
}

#[test]
fn the_notifier_serves_nobody() {
    assert_free_of("parley-notifier", &["axum", "parley-gateway"]);
}
