//! What the documents name is there, and what is there is named.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{collections::BTreeSet, fs, path::Path};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The source files of the program, without their tests' own files.
fn sources() -> Vec<String> {
    let mut folders = ["commands", "gateway", "nats", "notifier", "projections", "runtime"]
        .map(|member| root().join(member).join("src"))
        .to_vec();
    folders.push(root().join("src"));
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(path).unwrap();
                // Unit tests come last in a file.
                sources.push(text.split("#[cfg(test)]").next().unwrap().to_owned());
            }
        }
    }
    sources
}

/// Every `PARLEY_…` name between two of `quote`.
fn variables(text: &str, quote: char) -> BTreeSet<String> {
    text.split(quote)
        .filter(|word| word.starts_with("PARLEY_") && word.len() > "PARLEY_".len())
        .filter(|word| {
            word.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
        })
        .map(str::to_owned)
        .collect()
}

#[test]
fn operations_names_every_variable_and_no_other() {
    let operations = fs::read_to_string(root().join("docs/operations.md")).unwrap();
    let named = variables(&operations, '`');
    // Buckets, not variables.
    let mut read: BTreeSet<String> =
        sources().iter().flat_map(|source| variables(source, '"')).collect();
    read.remove("PARLEY_LEASES");
    read.remove("PARLEY_PRESENCE");
    let documented: BTreeSet<_> = read.difference(&named).collect();
    assert!(documented.is_empty(), "not in docs/operations.md: {documented:?}");
    let unread: BTreeSet<_> = named.difference(&read).collect();
    assert!(unread.is_empty(), "in docs/operations.md, but nobody reads it: {unread:?}");
}
