//! A store of bytes over an object store.

use super::http::{Failure, Limit, Patient, failure};
use super::runtime::{block, start};
use super::writer::RemoteWriter;
use super::{Remote, Traffic};
use crate::bytes::{check_limit, coalesce};
use crate::{
    Buffer, ByteRange, ByteStore, ByteWriter, Coming, Fetched, Inventory, IoError, RemoteProblem, Scheme,
    Url, Wanted,
};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::http::HttpBuilder;
use object_store::path::Path;
use object_store::{
    ClientOptions, Error, GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMode,
    PutOptions, PutPayload, RetryConfig,
};
use std::sync::Arc;

/// Objects below a place of an object store.
pub(super) struct RemoteStore {
    inner: Arc<Inner>,
}

/// What requests on the way share.
pub(super) struct Inner {
    pub(super) objects: Arc<dyn ObjectStore>,
    prefix: String,
    name: String,
    scheme: Scheme,
    remote: Remote,
}

/// An error with what was tried, and on what.
fn remote_error(action: &'static str, url: String, error: &Error) -> IoError {
    let problem = match (failure(error), error) {
        (Some(failure), _) => problem(failure),
        (None, Error::NotFound { .. }) => RemoteProblem::Missing,
        (None, Error::PermissionDenied { .. } | Error::Unauthenticated { .. }) => {
            RemoteProblem::Denied { status: 403, word: String::new() }
        }
        (None, Error::NotSupported { .. }) => RemoteProblem::NoParts,
        (None, other) => RemoteProblem::Other { why: first_line(&other.to_string()) },
    };
    IoError::Remote { action, url, problem }
}

fn problem(failure: &Failure) -> RemoteProblem {
    match failure.clone() {
        Failure::TimedOut { seconds, tries } => RemoteProblem::TimedOut { seconds, tries },
        Failure::Unreachable { host, why, tries } => RemoteProblem::Unreachable { host, why, tries },
        Failure::Broken { why, tries } => RemoteProblem::Broken { why, tries },
        Failure::Status { status: status @ (401 | 403), word, .. } => RemoteProblem::Denied { status, word },
        Failure::Status { status, word, tries } => RemoteProblem::Status { status, word, tries },
        Failure::NoCredentials => RemoteProblem::NoCredentials,
        other @ (Failure::TooLarge { .. } | Failure::Beyond) => {
            RemoteProblem::Other { why: other.to_string() }
        }
    }
}

/// An error of another crate may go on for pages.
fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(200).collect()
}

impl RemoteStore {
    pub(super) fn new(remote: &Remote, url: &Url) -> Result<Self, IoError> {
        let objects = build(remote, url).map_err(|e| {
            let problem = RemoteProblem::Other { why: first_line(&e.to_string()) };
            IoError::Remote { action: "open", url: url.to_string(), problem }
        })?;
        Ok(Self::over(objects, url, remote))
    }

    /// Over any object store.
    pub(super) fn over(objects: Arc<dyn ObjectStore>, url: &Url, remote: &Remote) -> Self {
        let (prefix, name, remote) = (url.path().to_owned(), url.to_string(), remote.clone());
        Self { inner: Arc::new(Inner { objects, prefix, name, scheme: url.scheme(), remote }) }
    }

    /// Holds this thread up until a request is answered.
    fn wait<T: Send + 'static>(
        &self,
        (action, key): (&'static str, &str),
        request: impl Future<Output = Result<T, IoError>> + Send + 'static,
    ) -> Result<T, IoError> {
        block(request).unwrap_or_else(|| {
            let problem = RemoteProblem::Other { why: "the request was given up".to_owned() };
            Err(IoError::Remote { action, url: self.inner.url(key), problem })
        })
    }

    fn writable(&self) -> Result<(), IoError> {
        if self.inner.scheme.writes() {
            Ok(())
        } else {
            Err(IoError::ReadOnly { store: self.inner.name.clone() })
        }
    }
}

/// Speaks to the service of a URL.
fn build(remote: &Remote, url: &Url) -> object_store::Result<Arc<dyn ObjectStore>> {
    let patient = Patient::new(remote);
    // All of it is done by `Patient`, who counts.
    let retry = RetryConfig { max_retries: 0, ..RetryConfig::default() };
    let options = ClientOptions::new().with_allow_http(true);
    let host = url.host().to_owned();
    let endpoint = remote.endpoint.as_ref().map(|e| e.trim_end_matches('/').to_owned());
    Ok(match url.scheme() {
        Scheme::S3 => {
            let mut builder = AmazonS3Builder::from_env()
                .with_bucket_name(host)
                .with_retry(retry)
                .with_client_options(options)
                .with_http_connector(patient);
            if let Some(endpoint) = endpoint {
                builder = builder.with_endpoint(endpoint).with_virtual_hosted_style_request(false);
            }
            if remote.anonymous {
                builder = builder.with_skip_signature(true);
            }
            Arc::new(builder.build()?)
        }
        Scheme::Gs => {
            let mut builder = GoogleCloudStorageBuilder::from_env()
                .with_bucket_name(host)
                .with_retry(retry)
                .with_client_options(options)
                .with_http_connector(patient);
            if let Some(endpoint) = endpoint {
                builder = builder.with_base_url(&endpoint);
            }
            if remote.anonymous {
                builder = builder.with_skip_signature(true);
            }
            Arc::new(builder.build()?)
        }
        Scheme::Az => {
            let mut builder = MicrosoftAzureBuilder::from_env()
                .with_container_name(host)
                .with_retry(retry)
                .with_client_options(options)
                .with_http_connector(patient);
            if let Some(endpoint) = endpoint {
                builder = builder.with_endpoint(endpoint);
            }
            if remote.anonymous {
                builder = builder.with_skip_signature(true);
            }
            Arc::new(builder.build()?)
        }
        scheme @ (Scheme::Http | Scheme::Https) => Arc::new(
            HttpBuilder::new()
                .with_url(format!("{}://{host}", scheme.name()))
                .with_retry(retry)
                .with_client_options(options)
                .with_http_connector(patient)
                .build()?,
        ),
    })
}

impl Inner {
    pub(super) fn url(&self, key: &str) -> String {
        if key.is_empty() { self.name.clone() } else { format!("{}/{key}", self.name) }
    }

    pub(super) fn fault(&self, action: &'static str, key: &str) -> impl Fn(Error) -> IoError {
        let url = self.url(key);
        move |error| remote_error(action, url.clone(), &error)
    }

    /// The path of a key in the object store.
    pub(super) fn path(&self, key: &str) -> Result<Path, IoError> {
        let joined = match (self.prefix.as_str(), key) {
            (prefix, "") => prefix.to_owned(),
            ("", key) => key.to_owned(),
            (prefix, key) => format!("{prefix}/{key}"),
        };
        // Web servers want what a browser would send; buckets know any name.
        let parsed = if self.scheme.writes() { Path::parse(&joined) } else { Path::from_url_path(&joined) };
        parsed.map_err(|e| {
            let problem = RemoteProblem::Url { why: first_line(&e.to_string()) };
            IoError::Remote { action: "open", url: self.url(key), problem }
        })
    }

    async fn size(&self, key: &str) -> Result<Option<u64>, IoError> {
        match self.objects.head(&self.path(key)?).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(self.fault("read", key)(e)),
        }
    }

    async fn get(&self, key: &str, range: ByteRange, limit: u64) -> Result<Option<(u64, Bytes)>, IoError> {
        let asked = range;
        let (range, most) = match range {
            ByteRange::Whole => (None, limit),
            ByteRange::Part { len, .. } | ByteRange::Last(len) if len == 0 => {
                return Ok(self.size(key).await?.map(|size| (size, Bytes::new())));
            }
            ByteRange::Part { offset, len } => {
                (Some(GetRange::Bounded(offset..offset.saturating_add(len))), len)
            }
            // There, the end is found by the size.
            ByteRange::Last(len) if self.scheme == Scheme::Az => {
                let Some(size) = self.size(key).await? else { return Ok(None) };
                let (offset, len) = ByteRange::Last(len).of(size);
                if len == 0 {
                    return Ok(Some((size, Bytes::new())));
                }
                (Some(GetRange::Bounded(offset..offset + len)), len)
            }
            ByteRange::Last(len) => (Some(GetRange::Suffix(len)), len),
        };
        let part = range.is_some();
        // What a part may bring is its own length; that it is not more than allowed is seen by what comes.
        let mut options = GetOptions { range, ..GetOptions::default() };
        options.extensions.insert(Limit(most.min(limit)));
        let got = async {
            let answer = self.objects.get_opts(&self.path(key)?, options).await;
            let answer = answer.map_err(Ok::<Error, IoError>);
            let answer = match answer {
                Ok(answer) => answer,
                Err(Ok(e)) => return Ok(Err(e)),
                Err(Err(e)) => return Err(e),
            };
            check_limit(self.url(key), answer.range.end - answer.range.start, limit)?;
            let size = answer.meta.size;
            Ok(answer.bytes().await.map(|bytes| (size, bytes)))
        };
        match got.await? {
            Ok(got) => Ok(Some(got)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(e) => match failure(&e) {
                Some(Failure::Beyond) => Ok(self.size(key).await?.map(|size| (size, Bytes::new()))),
                // What sends more than a part sends all.
                Some(Failure::TooLarge { len, .. }) => {
                    if !part {
                        check_limit(self.url(key), *len, limit)?;
                    }
                    Err(IoError::Remote {
                        action: "read",
                        url: self.url(key),
                        problem: RemoteProblem::NoParts,
                    })
                }
                // Not an answer of a server: a part that does not exist, perhaps.
                None if part => match self.size(key).await? {
                    Some(size) if asked.of(size).1 == 0 => Ok(Some((size, Bytes::new()))),
                    _ => Err(self.fault("read", key)(e)),
                },
                _ => Err(self.fault("read", key)(e)),
            },
        }
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, IoError> {
        let path = self.path(prefix)?;
        let at = if path.as_ref().is_empty() { None } else { Some(&path) };
        let found = self.objects.list_with_delimiter(at).await.map_err(self.fault("list", prefix))?;
        let objects = found.objects.iter().map(|o| &o.location);
        let names = found.common_prefixes.iter().chain(objects).filter_map(Path::filename);
        let mut names: Vec<String> = names.map(str::to_owned).collect();
        names.sort();
        names.dedup();
        Ok(names)
    }

    async fn inventory(&self, wanted: &Wanted) -> Result<Inventory, IoError> {
        let mut found = Inventory::default();
        let path = self.path("")?;
        if self.scheme.writes() {
            let at = if path.as_ref().is_empty() { None } else { Some(&path) };
            let mut objects = self.objects.list(at);
            while let Some(object) = objects.next().await {
                let object = match object.map_err(self.fault("list", "")) {
                    Ok(object) => object,
                    // Public images may be read, and often not listed.
                    Err(error) if is_hidden(&error) => break,
                    Err(error) => return Err(error),
                };
                let key = object
                    .location
                    .prefix_match(&path)
                    .map(|parts| parts.map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/"));
                if let Some(key) = key.filter(|key| wanted(key)) {
                    count_in(&mut found, &key, &object);
                }
            }
        }
        // One object, or a server that has no lists.
        for key in ["", "zarr.json", ".zgroup", ".zarray"] {
            if found.count > 0 {
                break;
            }
            match self.objects.head(&self.path(key)?).await.map_err(self.fault("read", key)) {
                Ok(object) => count_in(&mut found, key, &object),
                Err(error) if is_hidden(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    async fn put(&self, key: &str, bytes: Bytes, mode: PutMode) -> Result<bool, IoError> {
        let new = matches!(mode, PutMode::Create);
        let before = self.remote.traffic().retries;
        let options = PutOptions { mode, ..PutOptions::default() };
        match self.objects.put_opts(&self.path(key)?, PutPayload::from(bytes.clone()), options).await {
            Ok(_) => Ok(true),
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) if new => {
                // An answer that was lost may have been to a request that did it.
                let Traffic { retries, .. } = self.remote.traffic();
                let there =
                    if retries > before { self.get(key, ByteRange::Whole, MARK).await? } else { None };
                Ok(there.is_some_and(|(_, there)| there == bytes))
            }
            Err(e) => Err(self.fault("write", key)(e)),
        }
    }

    async fn delete(&self, key: &str) -> Result<(), IoError> {
        match self.objects.delete(&self.path(key)?).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(e) => Err(self.fault("remove", key)(e)),
        }
    }

    async fn delete_below(&self, prefix: &str) -> Result<(), IoError> {
        let path = self.path(prefix)?;
        let at = if path.as_ref().is_empty() { None } else { Some(&path) };
        let found = self.objects.list(at).map_ok(|object| object.location).boxed();
        let fault = self.fault("remove", prefix);
        let mut removed = self.objects.delete_stream(found);
        while let Some(one) = removed.next().await {
            match one {
                Ok(_) | Err(Error::NotFound { .. }) => {}
                Err(e) => return Err(fault(e)),
            }
        }
        Ok(())
    }
}

/// Whether something is not there, or not for this user.
fn is_hidden(error: &IoError) -> bool {
    use RemoteProblem::{Denied, Missing, Status};
    matches!(error, IoError::Remote { problem: Missing | Denied { .. } | Status { .. }, .. })
}

fn count_in(found: &mut Inventory, key: &str, object: &ObjectMeta) {
    let changed = object.last_modified.timestamp_nanos_opt().unwrap_or_default() as u64;
    match &object.e_tag {
        Some(tag) => found.add(key, object.size, changed, tag),
        None => found.add(key, object.size, changed, &changed.to_string()),
    }
}

/// Objects that are made once, and only once, are small.
const MARK: u64 = 1 << 20;

impl ByteStore for RemoteStore {
    fn name(&self) -> String {
        self.inner.name.clone()
    }

    fn size(&self, key: &str) -> Result<Option<u64>, IoError> {
        let (inner, own) = (self.inner.clone(), key.to_owned());
        self.wait(("read", key), async move { inner.size(&own).await })
    }

    fn get_range(
        &self,
        key: &str,
        range: ByteRange,
        limit: u64,
        into: &mut Buffer,
    ) -> Result<Option<usize>, IoError> {
        let (inner, own) = (self.inner.clone(), key.to_owned());
        let got = self.wait(("read", key), async move { inner.get(&own, range, limit).await })?;
        let Some((_, bytes)) = got else { return Ok(None) };
        into.bytes(bytes.len())?.copy_from_slice(&bytes);
        Ok(Some(bytes.len()))
    }

    fn get_ranges(&self, key: &str, parts: &[(u64, u64)], gap: u64) -> Result<Option<Vec<Vec<u8>>>, IoError> {
        let runs = coalesce(parts, gap);
        let tasks: Vec<_> = runs
            .iter()
            .map(|run| {
                let range = ByteRange::Part { offset: run.offset, len: run.len };
                let (inner, own, limit) = (self.inner.clone(), key.to_owned(), run.len);
                start(async move { inner.get(&own, range, limit).await })
            })
            .collect();
        let mut out = vec![Vec::new(); parts.len()];
        for (run, task) in runs.iter().zip(tasks) {
            let task = async move { task.await.unwrap_or_else(|_| Ok(None)) };
            let Some((_, bytes)) = self.wait(("read", key), task)? else { return Ok(None) };
            for &i in &run.parts {
                let from = ((parts[i].0 - run.offset) as usize).min(bytes.len());
                let to = from.saturating_add(parts[i].1 as usize).min(bytes.len());
                out[i] = bytes[from..to].to_vec();
            }
        }
        Ok(Some(out))
    }

    fn waits(&self) -> bool {
        true
    }

    fn fetch<'a>(&'a self, key: &'a str, ranges: Vec<ByteRange>, limit: u64) -> Coming<'a> {
        let one = |range| {
            let (inner, own) = (self.inner.clone(), key.to_owned());
            start(async move { inner.get(&own, range, limit).await })
        };
        let tasks: Vec<_> = ranges.into_iter().map(one).collect();
        Box::pin(async move {
            let mut out = Fetched { size: 0, parts: Vec::with_capacity(tasks.len()) };
            for task in tasks {
                let got = task.await.map_err(|_| {
                    let problem = RemoteProblem::Other { why: "the request was given up".to_owned() };
                    IoError::Remote { action: "read", url: self.inner.url(key), problem }
                })?;
                let Some((size, bytes)) = got? else { return Ok(None) };
                out.size = size;
                out.parts.push(Vec::from(bytes));
            }
            Ok(Some(out))
        })
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>, IoError> {
        if !self.inner.scheme.writes() {
            let url = self.inner.url(prefix);
            return Err(IoError::Remote { action: "list", url, problem: RemoteProblem::NoLists });
        }
        let (inner, own) = (self.inner.clone(), prefix.to_owned());
        self.wait(("list", prefix), async move { inner.list(&own).await })
    }

    fn inventory(&self, wanted: &Wanted) -> Result<Inventory, IoError> {
        let (inner, wanted) = (self.inner.clone(), wanted.clone());
        self.wait(("list", ""), async move { inner.inventory(&wanted).await })
    }

    fn put(&self, key: &str, bytes: &[u8]) -> Result<(), IoError> {
        self.writable()?;
        let (inner, own, bytes) = (self.inner.clone(), key.to_owned(), Bytes::copy_from_slice(bytes));
        self.wait(("write", key), async move { inner.put(&own, bytes, PutMode::Overwrite).await })?;
        Ok(())
    }

    fn put_new(&self, key: &str, bytes: &[u8]) -> Result<bool, IoError> {
        self.writable()?;
        let (inner, own, bytes) = (self.inner.clone(), key.to_owned(), Bytes::copy_from_slice(bytes));
        self.wait(("write", key), async move { inner.put(&own, bytes, PutMode::Create).await })
    }

    fn begin(&self, key: &str) -> Result<Box<dyn ByteWriter>, IoError> {
        self.writable()?;
        Ok(Box::new(RemoteWriter::new(self.inner.clone(), key)?))
    }

    fn delete(&self, key: &str) -> Result<(), IoError> {
        self.writable()?;
        let (inner, own) = (self.inner.clone(), key.to_owned());
        self.wait(("remove", key), async move { inner.delete(&own).await })
    }

    fn delete_prefix(&self, prefix: &str) -> Result<(), IoError> {
        self.writable()?;
        let (inner, own) = (self.inner.clone(), prefix.to_owned());
        self.wait(("remove", prefix), async move {
            if !own.is_empty() {
                inner.delete(&own).await?;
            }
            inner.delete_below(&own).await
        })
    }
}
