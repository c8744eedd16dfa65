//! A cross-check: the official Python client, which shares no code with the Rust one, agrees with the stub.

use std::path::PathBuf;
use std::process::Stdio;

use crate::rig::{Rig, commit};

/// The Python that `infra/get-esdb-client.sh` puts there.
fn python() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../.tools/esdb-client/bin/python")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_python_client_reads_what_was_written_and_writes_what_is_read() {
    let python = python();
    if !python.exists() {
        assert!(std::env::var_os("CI").is_none(), "in CI this is required: infra/get-esdb-client.sh");
        eprintln!("not run: the Python client is missing (infra/get-esdb-client.sh)");
        return;
    }
    let rig = Rig::event_store().await;
    let (journal, org) = (rig.replica().await, rig.org("acme"));
    let commits: Vec<_> = (1..=6).map(|number| commit(&org, number)).collect();
    let mut position = 0;
    for (id, message) in &commits[..5] {
        position = journal.append(&org, position, *id, message.clone()).await.unwrap();
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    let lines: Vec<_> = commits.iter().map(|(_, message)| &message[..]).collect();
    std::fs::write(file.path(), lines.join(&b'\n')).unwrap();

    let url = rig.stub().url();
    let address = url.trim_start_matches("esdb://").split('?').next().unwrap().to_owned();
    let checked = tokio::process::Command::new(python)
        .arg(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/journal/cross_check.py"))
        .args([&address, "netkeep-acme"])
        .arg(file.path())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let (said, complained) = (String::from_utf8_lossy(&checked.stdout), String::from_utf8_lossy(&checked.stderr));
    assert!(checked.status.success(), "{complained}");
    assert_eq!(said.trim(), "cross-checked 6");

    let read = journal.read(&org, position).await.unwrap();
    assert_eq!(read.iter().map(|stored| &stored.message).collect::<Vec<_>>(), [&commits[5].1]);
}
