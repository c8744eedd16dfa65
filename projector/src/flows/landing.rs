//! One org's batches into its table: encoded, written, committed, and decided again where another was first.

use std::collections::VecDeque;
use std::sync::Arc;

use bus::{AppendError, Bus};
use bytes::Bytes;
use schemas::files::{Catalogue, Covers, FilesCommit};
use schemas::id::{CommitId, OrgId, Ulid};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::catalogue::follow;
use super::{Arrived, Spoilt};
use crate::clock;
use crate::counts::Counts;
use crate::flow_file::{BadBatch, DeviceBatch, EncodeError, FlowFile, encode};
use crate::retry::{Patience, until_done};
use crate::store::Store;

/// What it takes to land.
pub(super) struct Landing<'a> {
    pub(super) bus: &'a Bus,
    pub(super) store: &'a Store,
    pub(super) counts: &'a Counts,
    pub(super) threads: usize,
    pub(super) stop: &'a CancellationToken,
}

/// A batch and which message of the flush it came in.
type Numbered = (usize, Arrived);

/// How a commit ended.
enum Committed {
    /// It is in the log.
    Done,
    /// Another writer has brought some of the rows into the table.
    Overtaken,
}

impl Landing<'_> {
    /// Brings batches into the table. Says which cannot be encoded; `None` if the projector stops before it is done.
    pub(super) async fn land(
        &self,
        org: &OrgId,
        catalogue: &mut Catalogue,
        arrived: Vec<Numbered>,
    ) -> Option<Vec<Spoilt>> {
        let mut spoilt = Vec::new();
        let mut groups = VecDeque::from([arrived]);
        while let Some(mut group) = groups.pop_front() {
            group.retain(|(_, arrived)| !catalogue.holds(arrived.sequence, arrived.device, arrived.batch));
            if group.is_empty() {
                continue;
            }
            let id = commit_id();
            let files = match self.encode(org, id, &group).await {
                Ok(files) => files,
                Err(error) => {
                    self.set_apart(group, &error, &mut groups, &mut spoilt);
                    continue;
                }
            };
            let rows: u64 = files.iter().map(|file| file.file.rows).sum();
            let commit = commit(org, id, &group, &files);
            let written = files.len() as u64;
            self.write(files).await?;
            match self.commit(org, catalogue, &group, &commit).await? {
                Committed::Done => {
                    self.counts.flow_rows_written.add(rows);
                    self.counts.flow_files_written.add(written);
                }
                Committed::Overtaken => {
                    self.discard(&commit).await;
                    groups.push_front(group);
                }
            }
        }
        Some(spoilt)
    }

    async fn encode(&self, org: &OrgId, id: CommitId, group: &[Numbered]) -> Result<Vec<FlowFile>, EncodeError> {
        let batches: Vec<DeviceBatch> = group
            .iter()
            .flat_map(|(_, arrived)| {
                arrived.rows.iter().map(|rows| DeviceBatch { device: arrived.device, rows: rows.clone() })
            })
            .collect();
        let (org, threads) = (org.clone(), self.threads);
        let encoded = tokio::task::spawn_blocking(move || encode(&batches, &org, id, threads));
        encoded.await.unwrap_or(Err(EncodeError::Panicked))
    }

    /// Finds out which batch cannot be encoded: each goes alone from here on.
    fn set_apart(
        &self,
        mut group: Vec<Numbered>,
        error: &EncodeError,
        groups: &mut VecDeque<Vec<Numbered>>,
        spoilt: &mut Vec<Spoilt>,
    ) {
        match (group.len(), group.pop()) {
            (1, Some((number, _))) => {
                spoilt.push(Spoilt { number, error: BadBatch::Content(error.to_string()) });
            }
            (_, last) => {
                warn!("some flow batches cannot be encoded together, trying each alone: {error}");
                group.extend(last);
                for numbered in group.into_iter().rev() {
                    groups.push_front(vec![numbered]);
                }
            }
        }
    }

    async fn write(&self, files: Vec<FlowFile>) -> Option<()> {
        for FlowFile { file, bytes } in files {
            let bytes = Arc::new(bytes);
            until_done(self.stop, "write a flow file", || self.store.put(&file.path, bytes.clone())).await?;
        }
        Some(())
    }

    /// Appends a change to the catalogue. Whether it is there, only the log can tell: it is read after each doubt.
    async fn commit(
        &self,
        org: &OrgId,
        catalogue: &mut Catalogue,
        group: &[Numbered],
        commit: &FilesCommit,
    ) -> Option<Committed> {
        let mut patience = Patience::new(self.stop, "commit flow files");
        let payload = Bytes::from(serde_json::to_vec(commit).unwrap_or_default());
        loop {
            let appended = self.bus.files().append(org, catalogue.position, commit.id, payload.clone()).await;
            let error = match appended {
                Ok(position) => {
                    catalogue.apply(position, commit);
                    return Some(Committed::Done);
                }
                Err(error) => error,
            };
            let news = follow(self.bus, self.stop, org, catalogue).await?;
            if news.contains(&commit.id) {
                return Some(Committed::Done);
            }
            let is_held = |(_, arrived): &Numbered| catalogue.holds(arrived.sequence, arrived.device, arrived.batch);
            if group.iter().any(is_held) {
                return Some(Committed::Overtaken);
            }
            // Another writer was first, and it is clear after what to append.
            let is_clear = matches!(error, AppendError::Conflict) && !news.is_empty();
            if !is_clear && !patience.after(&error).await {
                return None;
            }
        }
    }

    async fn discard(&self, commit: &FilesCommit) {
        for file in &commit.add {
            if let Err(error) = self.store.delete(&file.path).await {
                warn!("cannot delete {}, which is in no table: {error}", file.path);
            }
        }
    }
}

fn commit(org: &OrgId, id: CommitId, group: &[Numbered], files: &[FlowFile]) -> FilesCommit {
    let sequences = || group.iter().map(|(_, arrived)| arrived.sequence);
    let covers = sequences().min().zip(sequences().max()).map(|(first, last)| Covers {
        first,
        last,
        // In order: the last of a device counts.
        batches: group.iter().map(|(_, arrived)| (arrived.device, arrived.batch)).collect(),
    });
    let add = files.iter().map(|file| file.file.clone()).collect();
    FilesCommit { org: org.clone(), id, table: "flows".to_owned(), add, remove: Vec::new(), covers }
}

fn commit_id() -> CommitId {
    let now_ms = u64::try_from(clock::now().timestamp_millis()).unwrap_or(0);
    CommitId::new(Ulid::from_parts(now_ms, rand::random()))
}
