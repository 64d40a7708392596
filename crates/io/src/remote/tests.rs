//! The contract of stores on an object store in memory, and requests to a server on this machine that misbehaves.

use super::store::RemoteStore;
use super::{Remote, Traffic};
use crate::{
    ByteRange, ByteStore, Codec, Format, IoError, OpenOptions, OutputOptions, RemoteProblem, Url, contract,
    open_in,
};
use object_store::memory::InMemory;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use voxtile_sched::contract::{Fetch, Sink, Source, StoreError};
use voxtile_sched::model::{Grid, Meta, Shape, TileMut};

fn url(text: &str) -> Url {
    Url::of(Path::new(text)).unwrap().unwrap()
}

#[test]
fn an_object_store_keeps_the_contract() {
    for place in ["s3://bucket/some/scan.zarr", "gs://bucket"] {
        let store = RemoteStore::over(Arc::new(InMemory::new()), &url(place), &Remote::new());
        contract::check_bytes(&store);
    }
}

/// What a server answers to the requests that come, one after another.
type Script = Box<dyn FnMut(&str, &[String]) -> Option<Vec<u8>> + Send>;

/// A server on this machine. An answer of `None` breaks the connection.
struct Server {
    address: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn new(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (own, script) = (seen.clone(), Arc::new(Mutex::new(script)));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (own, script) = (own.clone(), script.clone());
                std::thread::spawn(move || serve(stream.unwrap(), &own, &script));
            }
        });
        Self { address, seen }
    }

    fn remote(&self) -> Remote {
        Remote::new().endpoint(&self.address).anonymous(true).patience(Duration::from_secs(5), 4)
    }
}

fn serve(stream: TcpStream, seen: &Mutex<Vec<String>>, script: &Mutex<Script>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    loop {
        let mut first = String::new();
        if reader.read_line(&mut first).unwrap_or(0) == 0 {
            return;
        }
        let mut headers = Vec::new();
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(n) = line.strip_prefix("content-length: ") {
                length = n.parse().unwrap();
            }
            headers.push(line);
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let request = first.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
        seen.lock().unwrap().push(request.clone());
        match script.lock().unwrap()(&request, &headers) {
            Some(answer) => stream.write_all(&answer).unwrap(),
            None => return,
        }
    }
}

fn answer(status: &str, headers: &str, body: &[u8]) -> Option<Vec<u8>> {
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
    Some([head.as_bytes(), body].concat())
}

const DATE: &str = "last-modified: Tue, 01 Dec 2026 00:00:00 GMT\r\netag: \"x\"\r\n";

/// Ten bytes, whole or in part.
fn digits(headers: &[String]) -> Option<Vec<u8>> {
    let range = headers.iter().find_map(|h| h.strip_prefix("range: bytes="));
    match range.and_then(|r| r.split_once('-')) {
        None => answer("200 OK", DATE, b"0123456789"),
        Some((from, to)) => {
            let (from, to): (usize, usize) = (from.parse().unwrap(), to.parse().unwrap());
            if from >= 10 {
                return answer("416 Range Not Satisfiable", "", b"");
            }
            let to = to.min(9);
            let headers = format!("{DATE}content-range: bytes {from}-{to}/10\r\n");
            answer("206 Partial Content", &headers, &b"0123456789"[from..=to])
        }
    }
}

fn problem(result: Result<impl std::fmt::Debug, IoError>) -> RemoteProblem {
    match result {
        Err(IoError::Remote { problem, .. }) => problem,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_server_that_falters_changes_nothing_but_the_count_of_retries() {
    let mut n = 0;
    let server = Server::new(Box::new(move |_, headers| {
        n += 1;
        match n % 4 {
            1 => answer("500 Internal Server Error", "", b""),
            2 => None,
            3 => answer("503 Slow Down", "", b""),
            _ => digits(headers),
        }
    }));
    let remote = server.remote();
    let store = remote.store(&url("s3://bucket/a")).unwrap();
    assert_eq!(store.get("b", 10).unwrap().unwrap(), b"0123456789");
    for (part, want) in [((7, 9), "789"), ((1, 2), "12")] {
        let got = store.get_ranges("b", &[part], 0).unwrap().unwrap();
        assert_eq!(got, [want.as_bytes()]);
    }
    let Traffic { requests, retries, bytes_read, .. } = remote.traffic();
    assert_eq!((requests, retries, bytes_read), (12, 9, 15));
    assert!(server.seen.lock().unwrap().iter().all(|r| r == "GET /bucket/a/b"));
}

#[test]
fn an_answer_cut_short_is_asked_for_again() {
    let mut n = 0;
    let server = Server::new(Box::new(move |_, headers| {
        n += 1;
        let whole = digits(headers)?;
        if n == 1 { Some(whole[..whole.len() - 3].to_vec()) } else { Some(whole) }
    }));
    // The connection stays open after the first answer: that the rest does not come is a matter of time.
    let remote = server.remote().patience(Duration::from_millis(200), 3);
    let store = remote.store(&url("s3://bucket/a")).unwrap();
    assert_eq!(store.get("b", 10).unwrap().unwrap(), b"0123456789");
    assert_eq!(remote.traffic().retries, 1);
}

#[test]
fn failures_are_told_apart() {
    let with = |status: &'static str, body: &'static str| {
        let server = Server::new(Box::new(move |_, _| answer(status, "", body.as_bytes())));
        server.remote().store(&url("s3://bucket/a")).unwrap()
    };
    assert!(with("404 Not Found", "").get("b", 10).unwrap().is_none());
    let denied =
        problem(with("403 Forbidden", "<Error><Code>InvalidAccessKeyId</Code></Error>").get("b", 10));
    assert_eq!(denied, RemoteProblem::Denied { status: 403, word: "InvalidAccessKeyId".into() });
    let busy = problem(with("503 Slow Down", "").get("b", 10));
    assert!(matches!(busy, RemoteProblem::Status { status: 503, tries: 4, .. }), "{busy:?}");
    let odd = problem(with("301 Moved", "<Error><Code>PermanentRedirect</Code></Error>").get("b", 10));
    assert!(matches!(&odd, RemoteProblem::Status { status: 301, word, .. } if word == "PermanentRedirect"));

    let silent = Server::new(Box::new(|_, _| {
        std::thread::sleep(Duration::from_millis(400));
        None
    }));
    let remote = silent.remote().patience(Duration::from_millis(50), 2);
    let late = problem(remote.store(&url("s3://bucket/a")).unwrap().get("b", 10));
    assert!(matches!(late, RemoteProblem::TimedOut { tries: 2, .. }), "{late:?}");

    let nobody = Remote::new().endpoint("http://127.0.0.1:1").anonymous(true);
    let away = problem(nobody.store(&url("s3://bucket/a")).unwrap().get("b", 10));
    assert!(matches!(&away, RemoteProblem::Unreachable { host, .. } if host == "127.0.0.1"), "{away:?}");
}

#[test]
fn more_than_expected_is_not_read() {
    let server = Server::new(Box::new(|_, headers| digits(headers)));
    let store = server.remote().store(&url("s3://bucket/a")).unwrap();
    let refused = store.get("b", 9);
    assert!(
        matches!(&refused, Err(IoError::Io { source, .. }) if source.kind() == std::io::ErrorKind::FileTooLarge)
    );
    let mut buffer = crate::Buffer::default();
    let part = ByteRange::Part { offset: 10, len: 3 };
    assert_eq!(store.get_range("b", part, 3, &mut buffer).unwrap(), Some(0));
}

#[test]
fn a_web_server_is_read_and_never_written() {
    let server = Server::new(Box::new(|request, headers| match request {
        "GET /my%20data/b" => answer("302 Found", "location: /real\r\n", b""),
        "GET /real" => digits(headers),
        _ => answer("404 Not Found", "", b""),
    }));
    let place = format!("{}/my%20data", server.address);
    let store = Remote::new().store(&url(&place)).unwrap();
    assert_eq!(store.get("b", 10).unwrap().unwrap(), b"0123456789");
    assert!(store.get("c", 10).unwrap().is_none());
    assert_eq!(problem(store.list("")), RemoteProblem::NoLists);
    assert!(matches!(store.put("c", b"x"), Err(IoError::ReadOnly { .. })));
    assert!(matches!(store.begin("c").map(|_| ()), Err(IoError::ReadOnly { .. })));
    assert!(matches!(store.delete_prefix(""), Err(IoError::ReadOnly { .. })));
}

/// Zarr in a bucket, as the suite of stores sees it.
struct Bucket {
    store: Arc<dyn ByteStore>,
    format: Format,
    shard: Option<Shape>,
}

impl Bucket {
    fn new(format: Format, shard: Option<Shape>) -> Self {
        let store = RemoteStore::over(Arc::new(InMemory::new()), &url("s3://bucket/a.zarr"), &Remote::new());
        Self { store: Arc::new(store), format, shard }
    }

    fn walk(&self, prefix: &str, out: &mut Vec<u8>) {
        for name in self.store.list(prefix).unwrap() {
            let key = format!("{}{name}", crate::bytes::below(prefix));
            match self.store.get(&key, 1 << 30).unwrap() {
                Some(bytes) => out.extend([key.as_bytes(), &bytes].concat()),
                None => self.walk(&key, out),
            }
        }
    }
}

impl contract::Store for Bucket {
    fn create(&self, meta: &Meta, chunk: Shape) -> Result<Arc<dyn Sink>, StoreError> {
        self.store.delete_prefix("")?;
        let shard = self.shard.map(|s| std::array::from_fn(|a| s[a] * chunk[a].min(meta.shape[a].max(1))));
        let options = OutputOptions {
            path: "s3://bucket/a.zarr".into(),
            format: self.format,
            axis_order: None,
            chunk: Some(chunk),
            shard,
            codec: Codec::Zstd { level: 1 },
            overwrite: false,
            bare: false,
            about: crate::About::default(),
            remote: Remote::new(),
        };
        Ok(options.create_in(self.store.clone(), meta, &[])?)
    }

    fn reopen(&self) -> Result<Arc<dyn Source>, StoreError> {
        let source = open_in(self.store.clone(), &OpenOptions::default())?.source;
        fetched_together_is_read_alone(&*source);
        Ok(source)
    }

    fn is_gone(&self) -> bool {
        self.store.list("").unwrap().is_empty()
    }

    fn stored(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.walk("", &mut out);
        out
    }

    fn keeps_spacing(&self) -> bool {
        true
    }
}

/// Chunks that are announced and fetched together have the voxels of those that a worker reads by itself.
fn fetched_together_is_read_alone(source: &dyn Source) {
    let meta = source.meta();
    let grid = Grid::new(meta.shape, source.chunk());
    let mut indices: Vec<Shape> = grid.iter().collect();
    source.expect(&indices);
    indices.reverse();
    let read = |index: &Shape, fetched: Option<Vec<u8>>| {
        let region = grid.region(index);
        let mut out = vec![0u64; region.voxels() as usize];
        let bytes = out.len() * meta.dtype.size();
        let bytes = &mut bytemuck::cast_slice_mut(&mut out)[..bytes];
        let tile = TileMut::new(meta.dtype, region.shape.map(|n| n as usize), bytes);
        source.read(index, fetched, tile).unwrap();
        out
    };
    for index in &indices {
        let fetched = match source.fetch(index) {
            Fetch::Wait(coming) => Some(contract::wait(coming).unwrap()),
            Fetch::InWorker => panic!("chunk {index:?} is not fetched ahead"),
        };
        assert!(read(index, fetched) == read(index, None), "chunk {index:?}");
    }
}

#[test]
fn zarr_in_a_bucket_keeps_the_contract() {
    contract::check(&Bucket::new(Format::ZarrV3, None));
    contract::check(&Bucket::new(Format::ZarrV2, None));
    contract::check(&Bucket::new(Format::ZarrV3, Some([2, 2, 2, 1, 2])));
}
