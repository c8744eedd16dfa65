//! Keeps the house in order: file sizes, names, crate edges, documented errors, nothing of this machine in the text.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use schemas::reason::Reason;

const LINES_MAX: usize = 500;

/// What each crate may depend on of ours, as STYLE draws it.
const EDGES: [(&str, &[&str]); 8] = [
    ("schemas", &[]),
    ("policy", &["schemas"]),
    ("bus", &["schemas", "policy"]),
    ("gate", &["schemas", "policy"]),
    ("command-svc", &["schemas", "policy", "bus", "gate"]),
    ("projector", &["schemas", "policy", "bus", "gate"]),
    ("query-svc", &["schemas", "policy", "bus", "gate"]),
    ("router-agent", &["schemas", "policy", "bus"]),
];

/// The only crate that knows all services.
const BINARY: &str = "netkeep";

/// Crates of others that only some of ours may use.
const ONLY_IN: [(&str, &[&str]); 1] = [("datafusion", &["query-svc", "projector", BINARY])];

/// Crates of others that the pure crates do without.
const PURE: [&str; 2] = ["schemas", "policy"];
const IMPURE: [&str; 4] = ["tokio", "tokio-util", "async-nats", "axum"];

/// Names that say nothing of what is inside.
const EMPTY_NAMES: [&str; 10] =
    ["common", "core", "types", "util", "utils", "helper", "helpers", "shared", "manager", "misc"];

#[test]
fn source_files_are_small_and_say_what_they_are() {
    check(rust_files(), |file, found| {
        let lines = file.text.lines().count();
        if lines > LINES_MAX {
            found.add(file, lines, format!("{lines} lines; {LINES_MAX} is the end, split it"));
        }
        if file.path.ends_with("mod.rs") {
            found.add(file, 1, "a module foo lives in foo.rs and foo/, not in foo/mod.rs".to_owned());
        }
        if !file.text.starts_with("//! ") {
            found.add(file, 1, "a file opens with one `//!` sentence on what it is".to_owned());
        }
    });
}

#[test]
fn names_say_what_is_inside() {
    check(rust_files(), |file, found| {
        let parts = file.path.with_extension("");
        for part in parts.iter().filter_map(|part| part.to_str()) {
            if EMPTY_NAMES.contains(&part) {
                found.add(file, 1, format!("`{part}` says nothing of what is inside"));
            }
        }
        for (number, line) in file.numbered() {
            let words = line.trim_start().split("mod ").nth(1).unwrap_or_default();
            let name = words.trim_end_matches([';', '{', ' ']);
            let declares = line.trim_start().starts_with("mod ") || line.trim_start().starts_with("pub");
            if declares && EMPTY_NAMES.contains(&name) {
                found.add(file, number, format!("`mod {name}` says nothing of what is inside"));
            }
        }
    });
}

#[test]
fn nothing_is_left_undone_or_skipped() {
    let undone = [concat!("todo", "!("), concat!("unimplemented", "!("), concat!("#[", "ignore")];
    check(rust_files(), |file, found| {
        for (number, line) in file.numbered() {
            for mark in undone.iter().filter(|mark| line.contains(**mark)) {
                found.add(file, number, format!("`{mark}` is left"));
            }
        }
    });
}

#[test]
fn tests_wait_for_a_condition_and_do_not_sleep() {
    let sleeps = [concat!("::sleep", "("), concat!(" sleep", "(")];
    check(rust_files(), |file, found| {
        let mut is_test = file.path.iter().any(|part| part == "tests");
        let (mut explained, mut only_test) = (false, false);
        for (number, line) in file.numbered() {
            is_test |= only_test && line.starts_with("mod ") && line.ends_with('{');
            only_test = line == "#[cfg(test)]";
            let is_comment = line.trim_start().starts_with("//");
            if is_test && !is_comment && !explained && sleeps.iter().any(|sleep| line.contains(sleep)) {
                found.add(file, number, "a test waits for a condition; a line before a sleep says why".into());
            }
            explained = is_comment;
        }
    });
}

#[test]
fn crates_depend_in_one_direction() {
    let edges: BTreeMap<&str, &[&str]> = EDGES.into_iter().collect();
    check(manifests(), |file, found| {
        let name = crate_of(file);
        if name != BINARY && !edges.contains_key(name.as_str()) {
            found.add(file, 1, format!("`{name}` is not in EDGES of tests/it/tidy.rs: say what it may depend on"));
        }
        for (number, dependency) in dependencies(file) {
            let is_ours = dependency == BINARY || edges.contains_key(dependency.as_str());
            let may = name == BINARY || edges.get(name.as_str()).is_some_and(|may| may.contains(&dependency.as_str()));
            if is_ours && !may {
                found.add(file, number, format!("`{name}` must not depend on `{dependency}`"));
            }
            for (restricted, users) in ONLY_IN {
                if dependency == restricted && !users.contains(&name.as_str()) {
                    found.add(file, number, format!("only {users:?} may depend on `{dependency}`"));
                }
            }
            if PURE.contains(&name.as_str()) && IMPURE.contains(&dependency.as_str()) {
                found.add(file, number, format!("`{name}` is pure: it does without `{dependency}`"));
            }
        }
    });
}

#[test]
fn crates_obey_the_lints_and_are_members() {
    let workspace = fs::read_to_string(root().join("Cargo.toml")).expect("the workspace has a manifest");
    check(manifests(), |file, found| {
        let name = crate_of(file);
        if EMPTY_NAMES.contains(&name.as_str()) {
            found.add(file, 1, format!("`{name}` says nothing of what is inside"));
        }
        if !workspace.lines().any(|line| line.trim() == format!("\"{name}\",")) {
            found.add(file, 1, format!("`{name}` is not a member of the workspace"));
        }
        if !file.text.contains("[lints]\nworkspace = true") {
            found.add(file, 1, "the lints of the workspace do not apply: [lints] workspace = true".to_owned());
        }
    });
}

#[test]
fn every_reason_is_documented() {
    let mut found = Found::default();
    let file = File::read(Path::new("docs/errors.md")).expect("docs/errors.md is there");
    let lines: Vec<&str> = file.text.lines().collect();
    let headings: Vec<(usize, &str)> =
        file.numbered().filter_map(|(number, line)| Some((number, line.strip_prefix("## ")?))).collect();
    let names: Vec<String> = Reason::ALL.iter().map(|reason| reason.name()).collect();
    for (number, heading) in &headings {
        if !names.iter().any(|name| name == heading) {
            found.add(&file, *number, format!("`{heading}` is not a reason in schemas/src/reason.rs"));
        }
    }
    for (reason, name) in Reason::ALL.iter().zip(&names) {
        let Some((number, _)) = headings.iter().find(|(_, heading)| heading == name) else {
            found.add(&file, 1, format!("`## {name}` is missing"));
            continue;
        };
        let retryable = if reason.is_retryable() { ", retryable." } else { "." };
        let expected = format!("`{} {}`{retryable}", reason.status(), screaming(&format!("{:?}", reason.code())));
        // The line after the heading is empty.
        if lines.get(number + 1) != Some(&expected.as_str()) {
            found.add(&file, number + 2, format!("`{name}` begins with: {expected}"));
        }
    }
    let order: Vec<&str> = headings.iter().map(|(_, heading)| *heading).collect();
    if found.0.is_empty() && order != names {
        found.add(&file, 1, "the headings are not in the order of schemas/src/reason.rs, each once".to_owned());
    }
    found.none();
}

#[test]
fn no_text_speaks_of_the_machine_it_was_written_on() {
    let marks = [
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("/tmp/", "brief"),
        concat!("/opt/", "wheels"),
        concat!("find-", "links"),
        concat!("index-", "url"),
        concat!("trusted-", "host"),
        concat!("replace-", "with"),
        concat!("files.python", "hosted.org"),
    ];
    check(repository_files(), |file, found| {
        for (number, line) in file.numbered() {
            for mark in marks.iter().filter(|mark| line.contains(**mark)) {
                found.add(file, number, format!("`{mark}` is of one machine only"));
            }
        }
    });
}

#[test]
fn a_manifest_is_read_for_every_sort_of_dependency() {
    let text = "[package]\nname = \"x\"\n[dependencies]\nbus.workspace = true\n# no\ngate = { path = \"../gate\" }\n\
                [dev-dependencies.tokio]\nversion = \"1\"\n[target.'cfg(unix)'.dependencies]\nlibc = \"0.2\"\n";
    let manifest = File { path: PathBuf::from("x/Cargo.toml"), text: text.to_owned() };
    let names: Vec<String> = dependencies(&manifest).into_iter().map(|(_, name)| name).collect();
    assert_eq!(names, ["bus", "gate", "tokio", "libc"]);
}

/// A file of the repository; its path is relative to the root.
struct File {
    path: PathBuf,
    text: String,
}

impl File {
    /// Reads a text file; a binary one, or one that is gone, is none.
    fn read(path: &Path) -> Option<Self> {
        let text = fs::read_to_string(root().join(path)).ok()?;
        Some(Self { path: path.to_owned(), text })
    }

    fn numbered(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }
}

/// What is out of order, as `file:line: what`.
#[derive(Default)]
struct Found(Vec<String>);

impl Found {
    fn add(&mut self, file: &File, line: usize, what: String) {
        self.0.push(format!("{}:{line}: {what}", file.path.display()));
    }

    fn none(self) {
        assert!(self.0.is_empty(), "\n{}\n", self.0.join("\n"));
    }
}

fn check(files: Vec<File>, mut look: impl FnMut(&File, &mut Found)) {
    assert!(!files.is_empty(), "nothing to look at in {}", root().display());
    let mut found = Found::default();
    for file in &files {
        look(file, &mut found);
    }
    found.none();
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn rust_files() -> Vec<File> {
    repository_files().into_iter().filter(|file| file.path.extension().is_some_and(|it| it == "rs")).collect()
}

/// The manifests of the crates.
fn manifests() -> Vec<File> {
    let is_crate = |file: &File| file.path.ends_with("Cargo.toml") && file.path.components().count() == 2;
    repository_files().into_iter().filter(is_crate).collect()
}

/// The text files that are, or are about to be, in the repository.
fn repository_files() -> Vec<File> {
    let mut paths = paths_of_git().unwrap_or_else(paths_on_disk);
    paths.sort();
    paths.iter().filter_map(|path| File::read(path)).collect()
}

fn paths_of_git() -> Option<Vec<PathBuf>> {
    let args = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let output = Command::new("git").arg("-C").arg(root()).args(args).output().ok()?;
    let listed = String::from_utf8(output.stdout).ok()?;
    let paths: Vec<PathBuf> = listed.split('\0').filter(|path| !path.is_empty()).map(PathBuf::from).collect();
    (output.status.success() && !paths.is_empty()).then_some(paths)
}

/// Where there is no git, as in an unpacked archive: every file but hidden ones and what is built.
fn paths_on_disk() -> Vec<PathBuf> {
    let mut paths = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(root().join(&folder)) else { continue };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let is_ours = !name.to_string_lossy().starts_with('.') && name != "target" && name != "netkeep-data";
            match entry.file_type() {
                Ok(kind) if is_ours && kind.is_dir() => folders.push(folder.join(name)),
                Ok(kind) if is_ours && kind.is_file() => paths.push(folder.join(name)),
                Ok(_) | Err(_) => {}
            }
        }
    }
    paths
}

/// The folder of a crate, which is also its name.
fn crate_of(manifest: &File) -> String {
    manifest.path.iter().next().map(|part| part.to_string_lossy().into_owned()).unwrap_or_default()
}

/// What a manifest depends on, of every sort, with the lines.
fn dependencies(manifest: &File) -> Vec<(usize, String)> {
    let mut listed = Vec::new();
    let mut in_list = false;
    for (number, line) in manifest.numbered() {
        let line = line.trim();
        if let Some(section) = line.strip_prefix('[') {
            let section = section.trim_end_matches(']');
            in_list = section.ends_with("dependencies");
            // [dependencies.name]
            if let Some((_, name)) = section.split_once("dependencies.") {
                listed.push((number, name.to_owned()));
            }
        } else if in_list && !line.starts_with('#') {
            let name = line.split(['.', '=', ' ']).next().unwrap_or_default().trim_matches('"');
            if !name.is_empty() {
                listed.push((number, name.to_owned()));
            }
        }
    }
    listed
}

/// `InvalidConfig` as `INVALID_CONFIG`.
fn screaming(name: &str) -> String {
    let mut text = String::new();
    for (index, letter) in name.chars().enumerate() {
        if letter.is_ascii_uppercase() && index > 0 {
            text.push('_');
        }
        text.push(letter.to_ascii_uppercase());
    }
    text
}
