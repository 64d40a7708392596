//! Calls into the C libraries: the BloscLZ of c-blosc, the LZ4 that it brings, and a parameter of Zstandard that
//! `zstd-safe` does not have. `blosclz_decompress` is not declared in c-blosc's public header; the version is pinned
//! for its sake.
#![allow(unsafe_code)]

use crate::scratch::Contexts;
use std::ffi::{c_char, c_int, c_void};
use std::ptr::NonNull;
use zstd_safe::zstd_sys::{
    self, ZSTD_CCtx, ZSTD_cParameter, ZSTD_cParameter::ZSTD_c_compressionLevel,
    ZSTD_cParameter::ZSTD_c_experimentalParam18 as ZSTD_c_maxBlockSize,
};

unsafe extern "C" {
    fn blosclz_decompress(input: *const c_void, len: c_int, output: *mut c_void, space: c_int) -> c_int;
    fn LZ4_decompress_safe(input: *const c_char, output: *mut c_char, len: c_int, space: c_int) -> c_int;
    fn LZ4_compress_fast(
        input: *const c_char,
        output: *mut c_char,
        len: c_int,
        space: c_int,
        acceleration: c_int,
    ) -> c_int;
}

pub(super) fn blosclz(from: &[u8], out: &mut [u8], _: &mut Contexts) -> Result<usize, String> {
    let [input, space] = lengths(from, out)?;
    // SAFETY: reads at most `from.len()` bytes of `from` and writes at most `out.len()` bytes of `out`.
    let got = unsafe { blosclz_decompress(from.as_ptr().cast(), input, out.as_mut_ptr().cast(), space) };
    usize::try_from(got).map_err(|_| format!("blosclz: error {got}"))
}

pub(super) fn lz4(from: &[u8], out: &mut [u8], _: &mut Contexts) -> Result<usize, String> {
    let [input, space] = lengths(from, out)?;
    // SAFETY: reads at most `from.len()` bytes of `from` and writes at most `out.len()` bytes of `out`.
    let got = unsafe { LZ4_decompress_safe(from.as_ptr().cast(), out.as_mut_ptr().cast(), input, space) };
    usize::try_from(got).map_err(|_| format!("lz4: error {got}"))
}

/// Compresses to the front of `out`; `None` if it does not fit.
pub(super) fn to_lz4(from: &[u8], out: &mut [u8], acceleration: i32) -> Option<usize> {
    let [input, space] = lengths(from, out).ok()?;
    // SAFETY: reads `from.len()` bytes of `from` and writes at most `out.len()` bytes of `out`.
    let got = unsafe {
        LZ4_compress_fast(from.as_ptr().cast(), out.as_mut_ptr().cast(), input, space, acceleration)
    };
    usize::try_from(got).ok().filter(|&got| got > 0)
}

fn lengths(from: &[u8], out: &[u8]) -> Result<[c_int; 2], String> {
    let int = |n: usize| c_int::try_from(n).map_err(|_| format!("stream of {n} bytes"));
    Ok([int(from.len())?, int(out.len())?])
}

/// A compressor of Zstandard that can be told how long its blocks are. What it makes depends on the arguments of a
/// call alone, not on earlier calls.
pub(crate) struct Zstd(NonNull<ZSTD_CCtx>);

// SAFETY: the context belongs to this value alone, and Zstandard keeps nothing in the thread.
unsafe impl Send for Zstd {}

impl Zstd {
    pub(crate) fn new() -> Option<Self> {
        // SAFETY: has no preconditions.
        NonNull::new(unsafe { zstd_sys::ZSTD_createCCtx() }).map(Self)
    }

    /// Compresses to the front of `out`, in blocks of at most `piece` bytes, 0 for Zstandard's choice; `None` if it does
    /// not fit.
    pub(super) fn compress(
        &mut self,
        from: &[u8],
        out: &mut [u8],
        level: i32,
        piece: usize,
    ) -> Option<usize> {
        self.set(ZSTD_c_compressionLevel, level);
        self.set(ZSTD_c_maxBlockSize, piece as c_int);
        // SAFETY: the context is alive; reads `from.len()` bytes of `from`, writes at most `out.len()` bytes of `out`.
        let got = unsafe {
            zstd_sys::ZSTD_compress2(
                self.0.as_ptr(),
                out.as_mut_ptr().cast(),
                out.len(),
                from.as_ptr().cast(),
                from.len(),
            )
        };
        // SAFETY: has no preconditions.
        if unsafe { zstd_sys::ZSTD_isError(got) } == 0 {
            return Some(got);
        }
        // A frame that was broken off would go on.
        // SAFETY: the context is alive.
        unsafe {
            zstd_sys::ZSTD_CCtx_reset(self.0.as_ptr(), zstd_sys::ZSTD_ResetDirective::ZSTD_reset_session_only)
        };
        None
    }

    fn set(&mut self, parameter: ZSTD_cParameter, value: c_int) {
        // SAFETY: the context is alive, and between frames.
        let got = unsafe { zstd_sys::ZSTD_CCtx_setParameter(self.0.as_ptr(), parameter, value) };
        // SAFETY: has no preconditions.
        debug_assert_eq!(unsafe { zstd_sys::ZSTD_isError(got) }, 0, "a value out of bounds");
    }
}

impl Drop for Zstd {
    fn drop(&mut self) {
        // SAFETY: made by `ZSTD_createCCtx` and not freed before.
        unsafe { zstd_sys::ZSTD_freeCCtx(self.0.as_ptr()) };
    }
}

/// c-blosc encodes to the front of `out`, in blocks of its choice.
pub(super) fn c_encode(
    from: &[u8],
    out: &mut [u8],
    size: usize,
    name: &std::ffi::CStr,
    (level, shuffle): (u8, u8),
) -> usize {
    // SAFETY: reads `from.len()` bytes of `from`, writes at most `out.len()` bytes of `out`; the name ends in NUL.
    let got = unsafe {
        blosc_src::blosc_compress_ctx(
            level.into(),
            shuffle.into(),
            size,
            from.len(),
            from.as_ptr().cast::<c_void>(),
            out.as_mut_ptr().cast::<c_void>(),
            out.len(),
            name.as_ptr(),
            0,
            1,
        )
    };
    usize::try_from(got).expect("c-blosc encodes what fits")
}

/// c-blosc decodes to the front of `out`; `None` if it does not take the frame.
pub(super) fn c_decode(frame: &[u8], out: &mut [u8]) -> Option<usize> {
    let mut content = 0;
    // SAFETY: reads the header of the frame, and writes the length of its content.
    let valid =
        unsafe { blosc_src::blosc_cbuffer_validate(frame.as_ptr().cast(), frame.len(), &raw mut content) };
    if valid != 0 {
        return None;
    }
    // SAFETY: the frame is as long as its header says; writes at most `out.len()` bytes of `out`.
    let got = unsafe {
        blosc_src::blosc_decompress_ctx(frame.as_ptr().cast(), out.as_mut_ptr().cast(), out.len(), 1)
    };
    usize::try_from(got).ok()
}
