//! The threads that wait for the network.

use std::future::Future;
use std::sync::OnceLock;
use std::sync::mpsc;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

/// Threads: they pass bytes on and decrypt them, no more.
const THREADS: usize = 2;

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .max_blocking_threads(4)
            .thread_name("voxtile-net")
            .enable_all()
            .build()
            .expect("a machine that has threads")
    })
}

/// Starts something; what it answers can be awaited from any thread.
pub(super) fn start<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    runtime().spawn(future)
}

/// Holds this thread up until it is done. `None` if it panicked.
pub(super) fn block<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> Option<T> {
    let (send, receive) = mpsc::sync_channel(1);
    runtime().spawn(async move {
        // Whoever waits is still there.
        let _ = send.send(future.await);
    });
    receive.recv().ok()
}
