//! Every stored shape of an event is read for ever: a file in `golden/` for each type and version that was ever written,
//! and another (`+2`) where fields were added.

#![expect(clippy::expect_used, reason = "a test that cannot go on says so by panicking")]

use std::collections::BTreeSet;
use std::path::Path;

use schemas::event::Recorded;
use schemas::kind::Kind;
use serde_json::Value;

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
fn what_was_stored_reads_and_is_written_with_nothing_lost() {
    for (name, stored) in golden() {
        let recorded = Recorded::parse(&stored).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(format!("{}.v1", recorded.event.name()), name.split('+').next().expect("a name"));
        assert_eq!(recorded.event.subject(&recorded.meta.org), recorded.meta.subject, "{name}");
        let written = serde_json::to_value(&recorded).expect("writes");
        let stored: Value = serde_json::from_str(&stored).expect("JSON");
        assert!(holds(&written, &stored), "{name}: {written} lacks something of {stored}");
        let again = Recorded::parse(&written.to_string()).expect("reads again");
        assert_eq!(again, recorded, "{name}");
    }
}

/// Whether `whole` has everything that `part` has; fields may have been added since.
fn holds(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(name, value)| whole.get(name).is_some_and(|whole| holds(whole, value)))
        }
        (Value::Array(whole), Value::Array(part)) => {
            whole.len() == part.len() && whole.iter().zip(part).all(|(whole, part)| holds(whole, part))
        }
        (whole, part) => whole == part,
    }
}

/// A type without a file would be a shape that nobody promised to read.
#[test]
#[expect(clippy::wildcard_enum_match_arm, reason = "a kind has the events that all have, unless it is named here")]
fn every_type_has_its_file() {
    let mut types: BTreeSet<String> = BTreeSet::new();
    for kind in Kind::ALL {
        let verbs: &[&str] = match kind {
            Kind::Event | Kind::Flow => &[],
            Kind::Org => &["created", "updated"],
            Kind::Device => &["enrolled", "updated", "deleted", "config_applied", "config_failed"],
            Kind::Rule => &["created", "updated", "deleted", "reordered"],
            Kind::AddressList => &["created", "updated", "deleted", "entries_changed"],
            _ => &["created", "updated", "deleted"],
        };
        types.extend(verbs.iter().map(|verb| format!("{}.{verb}.v1", kind.singular())));
    }
    let files: BTreeSet<String> =
        golden().iter().map(|(name, _)| name.split('+').next().expect("a name").to_owned()).collect();
    assert_eq!(types, files);
}
