//! The storage format, one file an event type: what is here can be read, and is written the same.

use std::{collections::BTreeSet, fs, path::Path};

use parley_domain::{
    Event,
    event::{DecodeError, TYPES},
};

#[test]
fn every_golden_event_is_read_and_written_back_to_the_letter() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut kinds = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let golden = fs::read_to_string(&path).unwrap();
        let event = Event::from_json(golden.as_bytes())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let written = String::from_utf8(event.to_json().unwrap()).unwrap();
        assert_eq!(written, golden.trim_end(), "{}", path.display());
        let through_serde: Event =
            serde_json::from_str(&serde_json::to_string(&event).unwrap()).unwrap();
        assert_eq!(through_serde, event);
        kinds.insert(event.data.kind());
    }
    // A new event type needs its file.
    assert_eq!(kinds, TYPES.iter().copied().collect());
}

#[test]
fn what_a_later_version_adds_is_skipped_and_what_is_unknown_is_named() {
    let golden = include_str!("golden/cursor.read.json");
    let extended = golden.replace(r#""version":15"#, r#""version":15,"partition":3"#);
    assert_eq!(
        Event::from_json(extended.as_bytes()).unwrap(),
        Event::from_json(golden.as_bytes()).unwrap()
    );
    let unknown = golden.replace("cursor.read", "cursor.teleported");
    assert!(matches!(
        Event::from_json(unknown.as_bytes()),
        Err(DecodeError::UnknownType(kind)) if kind == "cursor.teleported"
    ));
    assert!(matches!(Event::from_json(b"{}"), Err(DecodeError::Malformed(_))));
    assert!(matches!(Event::from_json(b"\xff"), Err(DecodeError::Malformed(_))));
}
