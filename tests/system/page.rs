//! The page in a real browser, against the real program.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::harness::Up;

/// `PARLEY_CHROMIUM`, or the first browser of this kind in `PATH`.
fn chromium() -> PathBuf {
    if let Some(named) = std::env::var_os("PARLEY_CHROMIUM") {
        return PathBuf::from(named);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .flat_map(|dir| {
            ["chromium", "chromium-browser", "google-chrome"].map(|name| dir.join(name))
        })
        .find(|program| program.is_file())
        .expect("a Chromium in PATH: run `make setup`")
}

#[tokio::test]
async fn the_page_works_in_a_browser() {
    let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("gateway/web");
    assert!(web.join("node_modules").is_dir(), "the page's packages: run `make setup`");
    let up = Up::start().await;
    let run = tokio::process::Command::new("npm")
        .args(["run", "--silent", "e2e"])
        .current_dir(&web)
        .env("PARLEY_URL", up.url())
        .env("PARLEY_CHROMIUM", chromium())
        .env("CI", "1")
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_secs(900), run).await;
    let output = output.expect("the page's tests end within 900 s").unwrap();
    assert!(
        output.status.success(),
        "{}\n{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
        up.output()
    );
}
