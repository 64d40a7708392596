//! JPEG of 8 bits, sequential and progressive, with Huffman codes: what tiles of slides and pictures are. Samples equal
//! libjpeg-turbo's with its default settings: the `islow` transform, chroma enlarged with weights of 3/4 and 1/4, colours
//! in fixed point of 16 bits.
//!
//! `headers` reads tables and sizes, `huffman` the bits of a scan, `scan` its blocks or `progressive` what it adds to them,
//! `idct` turns those into samples, and `enlarge` and `colors` the samples of all components into planes of the image.

mod colors;
mod enlarge;
mod headers;
mod huffman;
mod idct;
mod progressive;
mod scan;
#[cfg(test)]
mod tests;

pub(crate) use colors::to_rgb;
use headers::{Frame, Headers, Scan};
use progressive::Progress;

/// Compiles a function for wide registers too.
macro_rules! vectorised {
    ($(#[$m:meta])* $vis:vis fn $name:ident($($a:ident : $t:ty),* $(,)?) $body:block) => {
        $(#[$m])*
        $vis fn $name($($a: $t),*) {
            #[inline(always)]
            fn body($($a: $t),*) $body
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2")]
            fn avx2($($a: $t),*) {
                body($($a),*);
            }
            #[cfg(target_arch = "x86_64")]
            if std::arch::is_x86_feature_detected!("avx2") {
                // SAFETY: the processor has AVX2.
                return unsafe { avx2($($a),*) };
            }
            body($($a),*);
        }
    };
}
use vectorised;

/// Why a stream is not decoded: the rest of a sentence that starts with the stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault(pub(crate) String);

impl Fault {
    fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

/// What a stream must decode to.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) width: usize,
    /// Rows that are needed, and rows that the stream may have.
    pub(crate) rows: (usize, usize),
    pub(crate) samples: usize,
    pub(crate) colors: Colors,
}

impl Wanted {
    /// Whether a stream of this size fits; else the numbers that disagree.
    pub(crate) fn check(&self, width: usize, rows: usize, components: usize) -> Result<(), String> {
        let (least, most) = self.rows;
        if width == self.width && (least..=most).contains(&rows) && components == self.samples {
            return Ok(());
        }
        Err(format!(
            "is {width} × {rows} with {components} components, and {} × {most} with {} are expected",
            self.width, self.samples
        ))
    }
}

/// Whether three components are luma and chroma and become red, green and blue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colors {
    AsStored,
    YCbCr,
    /// By the marks that programs leave in the stream, as libjpeg takes them.
    AsMarked,
}

/// Bytes that a decoder keeps for its tables.
pub(crate) const TABLE_BYTES: u64 = 8 * huffman::TABLE_BYTES as u64 + (8 << 10);

/// Size of the picture in a stream, `(width, height)`, and its components. `stream` reaches to the first scan.
pub(crate) fn size(stream: &[u8]) -> Result<(usize, usize, usize), Fault> {
    let mut headers = Headers::default();
    headers.read(stream, 0)?;
    let frame = headers.frame.ok_or_else(|| Fault::new("has no frame"))?;
    Ok((frame.width, frame.height, frame.components.len()))
}

/// Pixels for one sample of chroma along x and y, of three components; `stream` reaches to the first scan.
pub(crate) fn subsampling(stream: &[u8]) -> Option<[u16; 2]> {
    let mut headers = Headers::default();
    headers.read(stream, 0).ok()?;
    let frame = headers.frame?;
    let [luma, chroma, _] = &frame.components[..] else { return None };
    Some([(luma.across / chroma.across.max(1)) as u16, (luma.down / chroma.down.max(1)) as u16])
}

/// A decoder with its buffers, which grow when needed and never shrink.
#[derive(Default)]
pub(crate) struct Decoder {
    headers: Headers,
    /// Samples of the components, whole blocks.
    planes: Vec<u8>,
    rows: enlarge::Rows,
    progress: Progress,
}

impl Decoder {
    /// Decodes a stream into planes, which start `out.len() / samples` bytes apart, and says how many rows each has.
    /// `tables`: an abbreviated stream that defines tables for this one.
    pub(crate) fn decode(
        &mut self,
        tables: Option<&[u8]>,
        stream: &[u8],
        wanted: &Wanted,
        out: &mut [u8],
    ) -> Result<usize, Fault> {
        self.headers.start();
        if let Some(tables) = tables {
            self.headers.read(tables, 0)?;
        }
        let scan = self.headers.read(stream, 0)?;
        let frame = self.headers.frame.clone().ok_or_else(|| Fault::new("has no frame"))?;
        wanted.check(frame.width, frame.height, frame.components.len()).map_err(Fault)?;
        let bytes = frame.components.iter().map(|c| c.stride * c.rows).sum();
        if self.planes.len() < bytes {
            self.planes.clear();
            self.planes
                .try_reserve_exact(bytes)
                .map_err(|_| Fault::new(format!("needs {bytes} bytes, and memory has them not")))?;
            self.planes.resize(bytes, 0);
        }
        if frame.progressive {
            self.progressive(stream, &frame, scan)?;
        } else {
            self.sequential(stream, &frame, scan)?;
        }
        let convert = match wanted.colors {
            Colors::AsStored => false,
            Colors::YCbCr => true,
            Colors::AsMarked => self.headers.marked_ycbcr(&frame),
        };
        let convert = convert && frame.components.len() == 3;
        self.rows.finish(&frame, &self.planes, convert, out)?;
        Ok(frame.height)
    }

    /// Every component has one scan, whose blocks become samples at once.
    fn sequential(&mut self, stream: &[u8], frame: &Frame, mut scan: Option<Scan>) -> Result<(), Fault> {
        let mut seen = vec![false; frame.components.len()];
        while let Some(header) = scan {
            for &(component, ..) in &header.components {
                if std::mem::replace(&mut seen[component], true) {
                    return Err(Fault::new("has two scans of one component"));
                }
            }
            let end = scan::decode(stream, &self.headers, frame, &header, &mut self.planes)?;
            if seen.iter().all(|&s| s) {
                break;
            }
            scan = self.headers.read(stream, end)?;
        }
        if seen.contains(&false) {
            return Err(Fault::new("has no scan of one of its components"));
        }
        Ok(())
    }

    /// Scans until nothing is missing.
    fn progressive(&mut self, stream: &[u8], frame: &Frame, mut scan: Option<Scan>) -> Result<(), Fault> {
        self.progress.start(frame)?;
        loop {
            let header = scan.ok_or_else(|| Fault::new("ends before all of its scans"))?;
            let end = self.progress.scan(stream, &self.headers, frame, &header)?;
            if self.progress.complete(frame) {
                break;
            }
            scan = self.headers.read(stream, end)?;
        }
        self.progress.samples(frame, &mut self.planes);
        Ok(())
    }
}
