//! Stores on the network: how they are reached, and what that took.
//!
//! ```text
//! store.rs    ByteStore over an object store: ranges, lists, whole objects and multipart uploads
//! http.rs     every request: limits, time, retries with growing pauses, and the counters
//! runtime.rs  the threads that wait, apart from those that compute
//! ```

#[cfg(feature = "remote")]
mod http;
#[cfg(feature = "remote")]
mod runtime;
#[cfg(feature = "remote")]
mod store;
#[cfg(all(test, feature = "remote"))]
mod tests;
#[cfg(feature = "remote")]
mod writer;

use crate::{ByteStore, IoError, Url};
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Bytes of the parts in which large objects are sent; services want at least 5 MiB, and some that all but the last are
/// equal.
const PART: usize = 8 << 20;
/// Parts of one object that are on their way at once.
const PARTS_AT_ONCE: usize = 2;
/// Bytes that an object holds while it is sent.
pub(crate) const PARTS: u64 = ((PARTS_AT_ONCE + 1) * PART) as u64;

/// How stores on the network are reached. Clones share their counters.
///
/// Credentials come from the environment: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, …;
/// `GOOGLE_APPLICATION_CREDENTIALS`; `AZURE_STORAGE_ACCOUNT_NAME`, `AZURE_STORAGE_ACCOUNT_KEY`, ….
#[derive(Clone, Debug)]
pub struct Remote {
    endpoint: Option<String>,
    anonymous: bool,
    wait: Duration,
    tries: u32,
    counters: Arc<Counters>,
}

impl Default for Remote {
    fn default() -> Self {
        Self {
            endpoint: None,
            anonymous: false,
            wait: Duration::from_secs(30),
            tries: 8,
            counters: Arc::default(),
        }
    }
}

/// Two are the same if they reach the same stores in the same way.
impl PartialEq for Remote {
    fn eq(&self, other: &Self) -> bool {
        (&self.endpoint, self.anonymous, self.wait, self.tries)
            == (&other.endpoint, other.anonymous, other.wait, other.tries)
    }
}

impl Eq for Remote {}

/// What has gone over the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Traffic {
    /// Requests, those that were repeated counted anew.
    pub requests: u64,
    /// Requests that were repeated because they failed.
    pub retries: u64,
    /// Bytes of what came back.
    pub bytes_read: u64,
    /// Bytes of what was sent.
    pub bytes_written: u64,
}

/// [`Traffic`], counted from all threads.
#[derive(Debug, Default)]
struct Counters {
    requests: AtomicU64,
    retries: AtomicU64,
    bytes_read: AtomicU64,
    bytes_written: AtomicU64,
}

impl Remote {
    /// The services of Amazon, Google and Microsoft, with credentials from the environment.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Another server that speaks the same language: `http://127.0.0.1:9000`.
    #[must_use]
    pub fn endpoint(self, url: impl Into<String>) -> Self {
        Self { endpoint: Some(url.into()), ..self }
    }

    /// Whether requests go without credentials, as public data allow.
    #[must_use]
    pub fn anonymous(self, yes: bool) -> Self {
        Self { anonymous: yes, ..self }
    }

    /// How long an answer may keep us waiting, 30 seconds by default, and how often a request is made in all, 8 times by
    /// default.
    #[must_use]
    pub fn patience(self, wait: Duration, tries: u32) -> Self {
        Self { wait, tries: tries.max(1), ..self }
    }

    /// What has gone over the network since the first of the clones was made.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Counters { requests, retries, bytes_read, bytes_written } = &*self.counters;
        Traffic {
            requests: get(requests),
            retries: get(retries),
            bytes_read: get(bytes_read),
            bytes_written: get(bytes_written),
        }
    }

    /// The objects below a place.
    ///
    /// # Errors
    /// [`IoError::Remote`] for settings that cannot be used, and in a build without the feature `remote`.
    pub fn store(&self, url: &Url) -> Result<Arc<dyn ByteStore>, IoError> {
        #[cfg(feature = "remote")]
        return Ok(Arc::new(store::RemoteStore::new(self, url)?));
        #[cfg(not(feature = "remote"))]
        Err(IoError::Remote {
            action: "open",
            url: url.to_string(),
            problem: crate::RemoteProblem::Url { why: "this build has no stores on the network".to_owned() },
        })
    }
}
