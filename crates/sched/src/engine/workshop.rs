//! What may be kept from one run to the next.

use super::pool::Buffers;
use std::sync::{Arc, Mutex, PoisonError};

/// Threads and memory that are kept from one run to the next: for many small images, whose runs would spend their time on
/// starting threads and on fresh pages. Clones share it. Runs at the same time should have one each.
#[derive(Clone, Default)]
pub struct Workshop {
    pub(super) buffers: Buffers,
    threads: Arc<Mutex<Option<Arc<rayon::ThreadPool>>>>,
}

impl Workshop {
    /// So many worker threads: those of the run before, if there were as many.
    pub(super) fn threads(
        &self,
        workers: usize,
    ) -> Result<Arc<rayon::ThreadPool>, rayon::ThreadPoolBuildError> {
        let mut kept = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(threads) = kept.as_ref().filter(|threads| threads.current_num_threads() == workers) {
            return Ok(threads.clone());
        }
        let threads = start(workers)?;
        *kept = Some(threads.clone());
        Ok(threads)
    }
}

/// Starts so many worker threads.
pub(super) fn start(workers: usize) -> Result<Arc<rayon::ThreadPool>, rayon::ThreadPoolBuildError> {
    let named = rayon::ThreadPoolBuilder::new().num_threads(workers).thread_name(|n| format!("voxtile-{n}"));
    Ok(Arc::new(named.build()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_kept_as_long_as_their_number_is_asked_for() {
        let workshop = Workshop::default();
        let first = workshop.threads(2).unwrap();
        assert!(Arc::ptr_eq(&first, &workshop.clone().threads(2).unwrap()));
        assert_eq!(workshop.threads(3).unwrap().current_num_threads(), 3);
    }
}
