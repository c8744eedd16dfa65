//! Where an issuer's keys come from, and how long they are kept.
//!
//! Keys that are known stay in use while a fetch fails: an issuer that is down does not lock everybody out.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jsonwebtoken::Algorithm;
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use schemas::reason::Reason;
use tokio::io::AsyncReadExt;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::ConfigError;
use super::discovery::{document_url, keys_url};
use super::keys::{KeySet, Lookup};
use crate::problem::Problem;

const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
const JWKS_BYTES_MAX: usize = 1024 * 1024;

/// Where a JWKS is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JwksSource {
    File(PathBuf),
    Url(Url),
    /// The issuer itself says at `document` where its keys are.
    Issuer {
        issuer: String,
        document: Url,
    },
}

/// The keys of an issuer, fetched when they are needed.
#[derive(Debug)]
pub(super) struct Jwks {
    source: JwksSource,
    client: Client,
    ttl: Duration,
    interval_min: Duration,
    known: RwLock<Known>,
    /// Held by the one who fetches.
    fetching: Mutex<()>,
}

#[derive(Debug, Clone, Default)]
struct Known {
    keys: Arc<KeySet>,
    fetched: Option<Instant>,
    attempted: Option<Instant>,
}

impl JwksSource {
    /// Reads a path or a URL.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        if !text.starts_with("http://") && !text.starts_with("https://") {
            return Ok(Self::File(PathBuf::from(text.strip_prefix("file://").unwrap_or(text))));
        }
        let bad = |error: String| ConfigError::Url { url: text.to_owned(), error };
        let url = Url::parse(text).map_err(|error| bad(error.to_string()))?;
        warn_if_plain(&url);
        Ok(Self::Url(url))
    }

    /// Where the issuer itself says.
    pub(super) fn discovered(issuer: &str) -> Result<Self, ConfigError> {
        let document = document_url(issuer).ok_or_else(|| ConfigError::IssuerWithoutJwks(issuer.to_owned()))?;
        warn_if_plain(&document);
        Ok(Self::Issuer { issuer: issuer.to_owned(), document })
    }

    fn url(&self) -> Option<&Url> {
        match self {
            Self::File(_) => None,
            Self::Url(url) | Self::Issuer { document: url, .. } => Some(url),
        }
    }
}

impl Jwks {
    pub(super) fn new(source: JwksSource, ttl: Duration, interval_min: Duration) -> Result<Self, reqwest::Error> {
        let client = Client::builder().timeout(FETCH_TIMEOUT).redirect(Policy::none());
        let direct = source.url().is_some_and(is_local);
        let client = if direct { client.no_proxy() } else { client }.build()?;
        let (known, fetching) = (RwLock::default(), Mutex::default());
        Ok(Self { source, client, ttl, interval_min, known, fetching })
    }

    /// The key for a JWT. An unknown one may be new, so the keys are fetched again, but not more often than allowed.
    pub(super) async fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Result<Lookup, Problem> {
        let known = self.known();
        let lookup = known.keys.find(id, algorithm);
        let fresh = known.fetched.is_some_and(|at| at.elapsed() < self.ttl);
        match (&lookup, fresh) {
            (Lookup::Found(_) | Lookup::OtherAlgorithm(_), true) => return Ok(lookup),
            (Lookup::Found(_) | Lookup::OtherAlgorithm(_), false) => {
                // One request fetches; the others need not wait for it.
                let Ok(_guard) = self.fetching.try_lock() else { return Ok(lookup) };
                self.fetch_if_due().await;
            }
            (Lookup::Unknown, _) => {
                let _guard = self.fetching.lock().await;
                // Whoever was here before may have brought the key already.
                if matches!(self.known().keys.find(id, algorithm), Lookup::Unknown) {
                    self.fetch_if_due().await;
                }
            }
        }
        let known = self.known();
        if known.fetched.is_none() {
            let message = "the keys of the JWT issuer cannot be fetched";
            return Err(Problem::new(Reason::IssuerUnavailable, message).retry_after(self.retry_after_s()));
        }
        Ok(known.keys.find(id, algorithm))
    }

    async fn fetch_if_due(&self) {
        let due = self.known().attempted.is_none_or(|at| at.elapsed() >= self.interval_min);
        if !due {
            return;
        }
        self.change(|known| known.attempted = Some(Instant::now()));
        match self.fetch().await {
            Ok(keys) => self.change(|known| {
                known.keys = Arc::new(keys);
                known.fetched = Some(Instant::now());
            }),
            Err(error) => tracing::warn!("cannot fetch the keys of the JWT issuer: {error}"),
        }
    }

    async fn fetch(&self) -> Result<KeySet, String> {
        let text = match &self.source {
            JwksSource::File(path) => read_file(path).await?,
            JwksSource::Url(url) => self.download(url).await?,
            // Asked anew each time: an issuer may move its keys.
            JwksSource::Issuer { issuer, document } => {
                let keys = keys_url(&self.download(document).await?, issuer)?;
                self.download(&keys).await?
            }
        };
        KeySet::parse(&text)
    }

    async fn download(&self, url: &Url) -> Result<Vec<u8>, String> {
        let failed = |error: reqwest::Error| error.without_url().to_string();
        let mut response = self.client.get(url.clone()).send().await.map_err(failed)?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(format!("the issuer answered {}", response.status()));
        }
        let mut text = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if text.len() + chunk.len() > JWKS_BYTES_MAX {
                return Err(format!("a JWKS of more than {JWKS_BYTES_MAX} bytes"));
            }
            text.extend_from_slice(&chunk);
        }
        Ok(text)
    }

    fn retry_after_s(&self) -> u32 {
        u32::try_from(self.interval_min.as_secs()).unwrap_or(u32::MAX).max(1)
    }

    fn known(&self) -> Known {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change(&self, change: impl FnOnce(&mut Known)) {
        change(&mut self.known.write().unwrap_or_else(PoisonError::into_inner));
    }
}

fn warn_if_plain(url: &Url) {
    if url.scheme() == "http" && !is_local(url) {
        tracing::warn!("the keys of the JWT issuer come over plain HTTP: who is on the way can forge JWTs");
    }
}

pub(super) fn is_local(url: &Url) -> bool {
    matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"))
}

async fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    let file = tokio::fs::File::open(path).await.map_err(|error| error.to_string())?;
    let mut text = Vec::new();
    let limit = u64::try_from(JWKS_BYTES_MAX).unwrap_or(u64::MAX);
    file.take(limit).read_to_end(&mut text).await.map_err(|error| error.to_string())?;
    Ok(text)
}
