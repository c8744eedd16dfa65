//! Every stored shape of an event is read for ever: one file in `golden/` for each type and version that was ever written.

#![expect(clippy::expect_used, reason = "a test that cannot go on says so by panicking")]

use std::collections::BTreeSet;
use std::path::Path;

use schemas::event::Recorded;

fn golden() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    let files = std::fs::read_dir(folder).expect("the folder is there");
    let read = |path: &Path| {
        (
            path.file_stem().expect("a name").to_string_lossy().into_owned(),
            std::fs::read_to_string(path).expect("readable"),
        )
    };
    files.map(|file| read(&file.expect("a file").path())).collect()
}

#[test]
fn what_was_stored_reads_and_is_written_alike() {
    for (name, stored) in golden() {
        let recorded = Recorded::parse(&stored).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(format!("{}.v1", recorded.event.name()), name);
        assert_eq!(recorded.event.subject(&recorded.meta.org), recorded.meta.subject, "{name}");
        let written = serde_json::to_value(&recorded).expect("writes");
        let stored: serde_json::Value = serde_json::from_str(&stored).expect("JSON");
        assert_eq!(written, stored, "{name}");
    }
}

/// The source lists the types; a type without a file would be a shape that nobody promised to read.
#[test]
fn every_type_has_its_file() {
    let source = include_str!("../src/event.rs");
    let types = source.split("#[serde(rename = \"netkeep.").skip(1);
    let types: BTreeSet<&str> = types.filter_map(|rest| rest.split('"').next()).collect();
    let files = golden();
    let files: BTreeSet<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert!(types.len() > 10);
    assert_eq!(types, files);
}
