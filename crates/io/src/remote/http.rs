//! Every request: how much may come back and how long it may take, retries with growing pauses, and the counters.

use super::{Counters, Remote};
use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::http::{request::Parts, uri};
use hyper::{Method, Request, Response, StatusCode, Uri, body::Incoming, header};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{self, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector as Connect, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody,
    HttpResponse, HttpService,
};
use std::error::Error as StdError;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

/// Requests that are on their way at once, of all stores.
const AT_ONCE: usize = 48;
/// Answers without a limit of their own: lists, words of a server.
const MOST: u64 = 64 << 20;
/// Bytes a second below which sending counts as standing still.
const SLOWEST: u64 = 100_000;
/// How long it may take to connect.
const CONNECT: Duration = Duration::from_secs(10);
/// First pause before a request is repeated, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));
/// Attempts to reach a server that does not answer at all.
const KNOCKS: u32 = 3;
/// Redirections that are followed.
const REDIRECTS: usize = 5;
/// Where machines of Amazon, Google and Microsoft ask for their credentials.
const METADATA: [&str; 3] = ["169.254.169.254", "169.254.170.2", "metadata.google.internal"];

/// Most bytes that the answer to a request may have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit(pub(super) u64);

/// Why a request has no answer that can be used.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("the answer has {len} bytes, at most {limit} are expected")]
    TooLarge { len: u64, limit: u64 },
    #[error("the part lies beyond the end")]
    Beyond,
    #[error("no answer within {seconds} s")]
    TimedOut { seconds: u64, tries: u32 },
    #[error("{host} cannot be reached: {why}")]
    Unreachable { host: String, why: String, tries: u32 },
    #[error("the connection broke: {why}")]
    Broken { why: String, tries: u32 },
    #[error("the server answered {status} {word}")]
    Status { status: u16, word: String, tries: u32 },
    #[error("there are no credentials")]
    NoCredentials,
}

impl Failure {
    /// Whether another attempt may help.
    fn passes(&self) -> bool {
        match self {
            Self::TimedOut { .. } | Self::Unreachable { .. } | Self::Broken { .. } => true,
            Self::Status { status, .. } => matches!(status, 408 | 429 | 500 | 502..=599),
            Self::TooLarge { .. } | Self::Beyond | Self::NoCredentials => false,
        }
    }

    fn after(mut self, n: u32) -> Self {
        match &mut self {
            Self::TimedOut { tries, .. }
            | Self::Unreachable { tries, .. }
            | Self::Broken { tries, .. }
            | Self::Status { tries, .. } => *tries = n,
            Self::TooLarge { .. } | Self::Beyond | Self::NoCredentials => {}
        }
        self
    }
}

type Client = legacy::Client<HttpsConnector<HttpConnector>, HttpRequestBody>;

/// One pool of connections for the process.
fn client() -> &'static Client {
    static CLIENT: OnceLock<Client> = OnceLock::new();
    CLIENT.get_or_init(|| {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT));
        let tls = match HttpsConnectorBuilder::new().with_native_roots() {
            Ok(tls) => tls,
            // A machine without certificates can still speak to servers without TLS.
            Err(_) => HttpsConnectorBuilder::new().with_tls_config(nobody_is_trusted()),
        };
        let connector = tls.https_or_http().enable_http1().wrap_connector(tcp);
        legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(20))
            .retry_canceled_requests(false)
            .build(connector)
    })
}

fn nobody_is_trusted() -> rustls::ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the versions of the provider")
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}

fn places() -> &'static Semaphore {
    static PLACES: Semaphore = Semaphore::const_new(AT_ONCE);
    &PLACES
}

/// Makes requests as [`Remote`] says.
#[derive(Clone, Debug)]
pub(super) struct Patient {
    wait: Duration,
    tries: u32,
    counters: Arc<Counters>,
}

impl Patient {
    pub(super) fn new(remote: &Remote) -> Self {
        Self { wait: remote.wait, tries: remote.tries, counters: remote.counters.clone() }
    }

    /// One attempt: the whole answer, or why there is none.
    async fn once(&self, parts: &Parts, body: HttpRequestBody, limit: u64) -> Result<HttpResponse, Failure> {
        let seconds = self.wait.as_secs();
        let late = |_| Failure::TimedOut { seconds, tries: 1 };
        let mut uri = parts.uri.clone();
        for _ in 0..=REDIRECTS {
            let sent = body.content_length() as u64;
            self.counters.requests.fetch_add(1, Ordering::Relaxed);
            self.counters.bytes_written.fetch_add(sent, Ordering::Relaxed);
            let patience = self.wait + Duration::from_secs(sent / SLOWEST);
            let answer = client().request(self.request(parts, &uri, body.clone()));
            let host = uri.host().unwrap_or_default().to_owned();
            let answer = timeout(patience, answer).await.map_err(late)?.map_err(|e| broken(host, &e))?;
            match elsewhere(parts, &uri, &answer) {
                Some(next) => uri = next,
                None => return self.collect(parts, answer, limit).await,
            }
        }
        Err(Failure::Status { status: 310, word: "too many redirections".to_owned(), tries: 1 })
    }

    fn request(&self, parts: &Parts, uri: &Uri, body: HttpRequestBody) -> HttpRequest {
        let mut request = Request::new(body);
        *request.method_mut() = parts.method.clone();
        *request.uri_mut() = uri.clone();
        *request.headers_mut() = parts.headers.clone();
        request
    }

    async fn collect(
        &self,
        parts: &Parts,
        answer: Response<Incoming>,
        limit: u64,
    ) -> Result<HttpResponse, Failure> {
        let seconds = self.wait.as_secs();
        let (mut head, mut body) = answer.into_parts();
        let limit = if head.status.is_success() { limit } else { MOST };
        let announced = head.headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok());
        let announced = announced.filter(|_| parts.method != Method::HEAD).unwrap_or(0u64);
        if announced > limit {
            return Err(Failure::TooLarge { len: announced, limit });
        }
        let mut bytes = Vec::with_capacity(announced as usize);
        loop {
            let frame = timeout(self.wait, body.frame()).await;
            let frame = frame.map_err(|_| Failure::TimedOut { seconds, tries: 1 })?;
            let Some(frame) = frame else { break };
            let frame = frame.map_err(|e| Failure::Broken { why: innermost(&e), tries: 1 })?;
            if let Some(data) = frame.data_ref() {
                bytes.extend_from_slice(data);
            }
            if bytes.len() as u64 > limit {
                return Err(Failure::TooLarge { len: bytes.len() as u64, limit });
            }
        }
        self.counters.bytes_read.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        if parts.method != Method::HEAD {
            // Not every server says it before.
            head.headers.entry(header::CONTENT_LENGTH).or_insert_with(|| bytes.len().into());
        }
        match head.status {
            StatusCode::RANGE_NOT_SATISFIABLE => Err(Failure::Beyond),
            // What these mean depends on what was asked.
            StatusCode::NOT_FOUND
            | StatusCode::CONFLICT
            | StatusCode::PRECONDITION_FAILED
            | StatusCode::NOT_MODIFIED => Ok(Response::from_parts(head, Bytes::from(bytes).into())),
            status if status.is_success() => Ok(Response::from_parts(head, Bytes::from(bytes).into())),
            status => {
                let word = word(&bytes).unwrap_or_else(|| status.canonical_reason().unwrap_or("").to_owned());
                Err(Failure::Status { status: status.as_u16(), word, tries: 1 })
            }
        }
    }

    /// How long to wait before attempt `n` is followed by another.
    fn pause(n: u32) -> Duration {
        let most = PAUSE.0.saturating_mul(1 << n.min(10)).min(PAUSE.1);
        // Half of it by chance, so that many do not come back at once.
        most / 2 + most.mul_f64((RandomState::new().hash_one(n) % 1024) as f64 / 2048.0)
    }
}

#[async_trait]
impl HttpService for Patient {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let limit = parts.extensions.get::<Limit>().map_or(MOST, |limit| limit.0);
        let metadata = parts.uri.host().is_some_and(|host| METADATA.contains(&host));
        let mut n = 0;
        loop {
            n += 1;
            let answer = {
                let _place = places().acquire().await;
                let answer = self.once(&parts, body.clone(), limit);
                if metadata {
                    let soon = Duration::from_secs(2);
                    timeout(soon, answer).await.unwrap_or(Err(Failure::NoCredentials))
                } else {
                    answer.await
                }
            };
            let failure = match answer {
                Ok(answer) => return Ok(answer),
                Err(Failure::Unreachable { .. }) if metadata => Failure::NoCredentials,
                Err(failure) => failure,
            };
            let knocked = matches!(failure, Failure::Unreachable { .. }) && n >= KNOCKS;
            if !failure.passes() || knocked || n >= self.tries {
                return Err(HttpError::new(HttpErrorKind::Unknown, failure.after(n)));
            }
            tracing::info!(%failure, attempt = n, uri = %parts.uri.path(), "request is repeated");
            self.counters.retries.fetch_add(1, Ordering::Relaxed);
            sleep(Self::pause(n - 1)).await;
        }
    }
}

impl Connect for Patient {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

/// Where an answer sends us, if requests of that kind may be sent elsewhere.
fn elsewhere(parts: &Parts, from: &Uri, answer: &Response<Incoming>) -> Option<Uri> {
    let reads = matches!(parts.method, Method::GET | Method::HEAD);
    if !reads || !answer.status().is_redirection() || parts.headers.contains_key(header::AUTHORIZATION) {
        return None;
    }
    let to: Uri = answer.headers().get(header::LOCATION)?.to_str().ok()?.parse().ok()?;
    if to.host().is_some() {
        return Some(to);
    }
    let mut there = uri::Parts::default();
    (there.scheme, there.authority) = (from.scheme().cloned(), from.authority().cloned());
    there.path_and_query = to.path_and_query().cloned();
    Uri::from_parts(there).ok()
}

fn broken(host: String, error: &legacy::Error) -> Failure {
    let why = innermost(error);
    if error.is_connect() {
        Failure::Unreachable { host, why, tries: 1 }
    } else {
        Failure::Broken { why, tries: 1 }
    }
}

/// The innermost cause says most.
fn innermost(error: &(dyn StdError + 'static)) -> String {
    let mut last = error;
    while let Some(inner) = last.source() {
        last = inner;
    }
    last.to_string()
}

/// The server's own word, in the XML of an error.
fn word(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body.get(..body.len().min(4096))?).ok()?;
    let code = text.split_once("<Code>")?.1.split_once("</Code>")?.0;
    (code.len() < 80 && code.chars().all(|c| c.is_ascii_alphanumeric())).then(|| code.to_owned())
}

/// The failure inside an error of the object store.
pub(super) fn failure(error: &object_store::Error) -> Option<&Failure> {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(failure) = error.downcast_ref::<Failure>() {
            return Some(failure);
        }
        next = error.source();
    }
    None
}
