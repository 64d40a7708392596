//! What a worker keeps between chunks: buffers and codec contexts. Fresh memory costs more than copying does.

use crate::IoError;
use std::cell::RefCell;

/// Bytes that are used again: they grow when needed and never shrink.
#[derive(Debug, Default)]
pub struct Buffer(Vec<u8>);

impl Buffer {
    /// The first `len` bytes, with any content.
    ///
    /// # Errors
    /// [`IoError::Memory`].
    pub fn bytes(&mut self, len: usize) -> Result<&mut [u8], IoError> {
        if self.0.len() < len {
            let more = len - self.0.len();
            self.0.try_reserve_exact(more).map_err(|_| IoError::Memory { bytes: len as u64 })?;
            self.0.resize(len, 0);
        }
        Ok(&mut self.0[..len])
    }

    /// The first `len` bytes of what [`bytes`](Self::bytes) gave before; `len` is at most what was asked for then.
    #[must_use]
    pub fn filled(&self, len: usize) -> &[u8] {
        &self.0[..len]
    }

    /// The first `len` bytes as a vector.
    #[must_use]
    pub fn into_vec(mut self, len: usize) -> Vec<u8> {
        self.0.truncate(len);
        self.0
    }
}

/// Buffers of one worker.
#[derive(Default)]
pub(crate) struct Work {
    /// Bytes as they lie in the file.
    pub(crate) encoded: Buffer,
    /// A whole chunk, where it does not go straight to its place.
    pub(crate) chunk: Buffer,
    /// Between two codecs of a chain.
    pub(crate) between: [Buffer; 2],
    /// Codec contexts.
    pub(crate) contexts: Contexts,
}

/// Codec contexts of one worker, made when first needed.
#[derive(Default)]
pub(crate) struct Contexts {
    zstd_in: Option<zstd_safe::DCtx<'static>>,
    zstd_out: Option<zstd_safe::CCtx<'static>>,
    inflate: Option<libdeflater::Decompressor>,
    deflate: Option<(u32, libdeflater::Compressor)>,
    zstd_pieces: Option<crate::zarr::Zstd>,
    /// One block of blosc with its bytes or bits sorted.
    pub(crate) block: Buffer,
}

impl Contexts {
    pub(crate) fn zstd_in(&mut self) -> &mut zstd_safe::DCtx<'static> {
        self.zstd_in.get_or_insert_with(zstd_safe::DCtx::create)
    }

    pub(crate) fn zstd_out(&mut self) -> &mut zstd_safe::CCtx<'static> {
        self.zstd_out.get_or_insert_with(zstd_safe::CCtx::create)
    }

    /// `None` if there is no memory for it.
    pub(crate) fn zstd_pieces(&mut self) -> Option<&mut crate::zarr::Zstd> {
        if self.zstd_pieces.is_none() {
            self.zstd_pieces = crate::zarr::Zstd::new();
        }
        self.zstd_pieces.as_mut()
    }

    pub(crate) fn inflate(&mut self) -> &mut libdeflater::Decompressor {
        self.inflate.get_or_insert_with(libdeflater::Decompressor::new)
    }

    /// `level` is 0 to 9.
    pub(crate) fn deflate(&mut self, level: u32) -> &mut libdeflater::Compressor {
        if self.deflate.as_ref().is_none_or(|(l, _)| *l != level) {
            let lvl = libdeflater::CompressionLvl::new(level as i32).unwrap_or_default();
            self.deflate = Some((level, libdeflater::Compressor::new(lvl)));
        }
        &mut self.deflate.as_mut().expect("made above").1
    }
}

thread_local! {
    static WORK: RefCell<Work> = RefCell::default();
}

/// Lends the worker's buffers. Not to be nested.
pub(crate) fn with_work<R>(f: impl FnOnce(&mut Work) -> R) -> R {
    WORK.with_borrow_mut(f)
}
