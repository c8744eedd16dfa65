//! Clients that are generated from the OpenAPI document of a running netkeep, each used for one whole walkthrough.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tempfile::TempDir;
use tokio::process::Command;

use crate::rig::Rig;

/// Where `infra/get-test-clients.sh` puts its tools, if it ran. Without them a test is not run; in CI it fails.
pub(crate) fn tools() -> Option<PathBuf> {
    let tools = root().join(".tools/test-clients");
    if tools.join("python/installed.txt").exists() && tools.join("node/installed.json").exists() {
        return Some(tools);
    }
    assert!(std::env::var_os("CI").is_none(), "in CI these are required: infra/get-test-clients.sh");
    eprintln!("not run: the tools of the test clients are missing (infra/get-test-clients.sh)");
    None
}

/// The folder of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Runs a program to its end, and gives what it said. A program that fails fails the test.
pub(crate) async fn run(command: &mut Command) -> String {
    let done = command.stdin(Stdio::null()).kill_on_drop(true).output().await.unwrap();
    let said = [done.stdout, done.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(done.status.success(), "{command:?} ended with {}:\n{said}", done.status);
    said
}

/// Writes the document of a rig into a folder.
pub(crate) async fn document(rig: &Rig, folder: &Path) -> PathBuf {
    let document = rig.http.get(rig.url("/openapi.json")).send().await.unwrap().bytes().await.unwrap();
    let file = folder.join("openapi.json");
    std::fs::write(&file, document).unwrap();
    file
}

#[tokio::test]
async fn a_generated_python_client_walks_through() {
    let Some(tools) = tools() else { return };
    let (rig, folder, clients) = (Rig::start().await, TempDir::new().unwrap(), root().join("tests/clients"));
    let document = document(&rig, folder.path()).await;
    let said = run(Command::new(tools.join("python/bin/openapi-python-client"))
        .args(["generate", "--fail-on-warning", "--meta", "none", "--config"])
        .arg(clients.join("openapi-python-client.yaml"))
        .arg("--path")
        .arg(document)
        .arg("--output-path")
        .arg(folder.path().join("netkeep_client")))
    .await;
    assert!(!said.to_lowercase().contains("warning"), "{said}");
    let said = run(Command::new(tools.join("python/bin/python"))
        .args(["-W", "error", "-B"])
        .arg(clients.join("walkthrough.py"))
        .args([rig.url(""), rig.token.clone()])
        .env("PYTHONPATH", folder.path()))
    .await;
    assert_eq!(said.trim(), "walked through");
}

#[tokio::test]
async fn a_generated_typescript_client_walks_through() {
    let Some(tools) = tools() else { return };
    let (rig, folder, clients) = (Rig::start().await, TempDir::new().unwrap(), root().join("tests/clients"));
    let document = document(&rig, folder.path()).await;
    for file in ["walkthrough.ts", "tsconfig.json", "package.json"] {
        std::fs::copy(clients.join(file), folder.path().join(file)).unwrap();
    }
    let modules = tools.join("node/node_modules");
    std::os::unix::fs::symlink(&modules, folder.path().join("node_modules")).unwrap();
    let said = run(Command::new(modules.join(".bin/openapi-typescript"))
        .arg(document)
        // A field with a default is left out by who writes.
        .args(["--default-non-nullable=false", "--output"])
        .arg(folder.path().join("netkeep.d.ts")))
    .await;
    assert!(!said.to_lowercase().contains("warn"), "{said}");
    // Checks every type, and leaves JavaScript.
    run(Command::new(modules.join(".bin/tsc")).arg("--project").arg(folder.path())).await;
    let said = run(Command::new("node")
        .arg(folder.path().join("walkthrough.js"))
        .args([rig.url(""), rig.token.clone()])
        .current_dir(folder.path()))
    .await;
    assert_eq!(said.trim(), "walked through");
}
