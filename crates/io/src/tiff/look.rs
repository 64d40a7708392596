//! Colours for looking (`--rgb`): what is stored as indices into a colour map, as inks, or with 0 for white becomes red, green and
//! blue, or gray with 0 for black; more samples than three colours are left out.

use super::decode::Buffer;
use super::ifd::Reader;
use super::page::Page;
use super::rgb_channels;
use crate::{Feature, IoError};
use std::sync::{Arc, Mutex, PoisonError};
use voxtile_sched::contract::{Source, StoreError};
use voxtile_sched::model::{Axis, Dtype, Meta, Shape, TileMut};

/// How samples become colours.
pub(super) enum Look {
    /// Red, green and blue of each index.
    Map(Vec<[u8; 3]>),
    /// Gray, the value of white and its distance from here.
    FromWhite(u64),
    /// Cyan, magenta, yellow and black, up to this value.
    Inks(u64),
    /// The first three samples are the colours.
    Three,
}

impl Look {
    /// What a page needs, if it does.
    ///
    /// # Errors
    /// [`IoError::Unsupported`] and [`IoError::Option`] for what has no colours that are known.
    pub(super) fn of(page: &Page, meta: &Meta, reader: &mut Reader) -> Result<Option<Self>, IoError> {
        let whole = matches!(meta.dtype, Dtype::U8 | Dtype::U16);
        let top = (1u64 << page.bits.clamp(1, 63)) - 1;
        let look = match (page.photometric, page.samples) {
            (0, 1) if whole => return Ok(Some(Self::FromWhite(top))),
            (3, 1) if whole => Self::Map(colors(page, reader)?),
            (5, 4..) if whole => Self::Inks(top),
            (2 | 6, 4..) => Self::Three,
            (0 | 3 | 5, _) => {
                let what = format!("{} of {} for `--rgb`", page.photometric, meta.dtype);
                return Err(reader.unsupported(Feature::Photometric(what)));
            }
            (8..=10, _) => {
                let what = "L*a*b* for `--rgb`".to_owned();
                return Err(reader.unsupported(Feature::Photometric(what)));
            }
            _ => return Ok(None),
        };
        if meta.shape[1] != page.samples {
            let why = "the image has channels of its own, which are no colours".to_owned();
            return Err(IoError::Option { option: "--rgb", why });
        }
        Ok(Some(look))
    }

    fn channels(&self) -> Option<u64> {
        (!matches!(self, Self::FromWhite(_))).then_some(3)
    }
}

/// The colour map of a page: all reds, then greens, then blues, of 16 bits.
fn colors(page: &Page, reader: &mut Reader) -> Result<Vec<[u8; 3]>, IoError> {
    let entry = page.colors.ok_or_else(|| reader.header("ColorMap", "is missing"))?;
    let values = reader.integers(&entry)?;
    let count = values.len() / 3;
    if count == 0 {
        return Err(reader.header("ColorMap", "is empty"));
    }
    // Some writers left the values of 8 bits as they were.
    let small = values.iter().all(|&v| v < 256);
    let byte = |v: u64| if small { v as u8 } else { (v >> 8) as u8 };
    Ok((0..count).map(|n| [n, n + count, n + 2 * count].map(|at| byte(values[at]))).collect())
}

/// An image whose samples become colours as it is read.
struct Looked {
    inner: Arc<dyn Source>,
    look: Look,
    meta: Meta,
    chunk: Shape,
    /// Buffers that nobody uses at the moment.
    idle: Mutex<Vec<Buffer>>,
}

/// The image as it is looked at.
pub(super) fn apply(inner: Arc<dyn Source>, look: Look) -> Arc<dyn Source> {
    let (mut meta, mut chunk) = (inner.meta().clone(), inner.chunk());
    if let Some(channels) = look.channels() {
        meta.shape[1] = channels;
        meta.axes = meta.axes.with(Axis::C);
        meta.channels = rgb_channels().to_vec();
        chunk[1] = channels;
    }
    if let Look::Map(_) = look {
        meta.dtype = Dtype::U8;
    }
    Arc::new(Looked { inner, look, meta, chunk, idle: Mutex::default() })
}

impl Looked {
    /// Bytes of the samples that a chunk of `pixels` is made of.
    fn stored(&self, pixels: u64) -> u64 {
        let inner = self.inner.meta();
        pixels.saturating_mul(inner.shape[1]).saturating_mul(inner.dtype.size() as u64)
    }

    fn read_with(&self, index: &Shape, mut out: TileMut<'_>, work: &mut Buffer) -> Result<u64, StoreError> {
        let inner = self.inner.meta();
        let [_, _, z, y, x] = out.shape();
        let pixels = z * y * x;
        let (size, each) = (inner.dtype.size(), self.inner.chunk()[1]);
        let stored = work.bytes(pixels * inner.shape[1] as usize * size)?;
        let mut read = 0;
        for (n, part) in stored.chunks_mut(pixels * each as usize * size).enumerate() {
            let channels = part.len() / (pixels * size);
            let tile = TileMut::new(inner.dtype, [1, channels, z, y, x], part);
            read += self.inner.read(&[index[0], n as u64, index[2], index[3], index[4]], None, tile)?;
        }
        let out = out.bytes_mut().expect("the place of a chunk has no gaps");
        match (&self.look, inner.dtype) {
            (Look::Map(map), dtype) => {
                let (red, rest) = out.split_at_mut(pixels);
                let (green, blue) = rest.split_at_mut(pixels);
                for n in 0..pixels {
                    let index = match dtype {
                        Dtype::U8 => usize::from(stored[n]),
                        _ => usize::from(u16::from_ne_bytes([stored[2 * n], stored[2 * n + 1]])),
                    };
                    [red[n], green[n], blue[n]] = map.get(index).copied().unwrap_or_default();
                }
            }
            (Look::Three, _) => out.copy_from_slice(&stored[..3 * pixels * size]),
            (Look::FromWhite(top), Dtype::U8) => {
                out.iter_mut().zip(&*stored).for_each(|(o, &v)| *o = (*top as u8).saturating_sub(v));
            }
            (Look::FromWhite(top), _) => {
                let (from, to) = wide(stored, out);
                to.iter_mut().zip(from).for_each(|(o, &v)| *o = (*top as u16).saturating_sub(v));
            }
            (Look::Inks(top), Dtype::U8) => {
                let top = *top as u32;
                for (n, o) in out.iter_mut().enumerate() {
                    *o = paper(u32::from(stored[n]), u32::from(stored[3 * pixels + n % pixels]), top) as u8;
                }
            }
            (Look::Inks(top), _) => {
                let top = *top as u32;
                let (from, to) = wide(stored, out);
                for (n, o) in to.iter_mut().enumerate() {
                    *o = paper(u32::from(from[n]), u32::from(from[3 * pixels + n % pixels]), top) as u16;
                }
            }
        }
        Ok(read)
    }
}

/// What two inks leave of the paper's white, rounded to the nearest.
fn paper(ink: u32, black: u32, top: u32) -> u32 {
    let product = u64::from(top.saturating_sub(ink)) * u64::from(top.saturating_sub(black));
    ((product + u64::from(top) / 2) / u64::from(top)) as u32
}

/// Both as samples of 16 bits.
fn wide<'a>(from: &'a [u8], to: &'a mut [u8]) -> (&'a [u16], &'a mut [u16]) {
    (bytemuck::cast_slice(from), bytemuck::cast_slice_mut(to))
}

impl Source for Looked {
    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn chunk(&self) -> Shape {
        self.chunk
    }

    fn name(&self) -> String {
        self.inner.name()
    }

    fn scratch(&self) -> u64 {
        let [_, _, z, y, x] = self.chunk;
        self.inner.scratch().saturating_add(self.stored(z * y * x))
    }

    fn held(&self) -> u64 {
        self.inner.held()
    }

    fn read(&self, index: &Shape, _: Option<Vec<u8>>, out: TileMut<'_>) -> Result<u64, StoreError> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let mut work = idle().pop().unwrap_or_default();
        let result = self.read_with(index, out, &mut work);
        idle().push(work);
        result
    }

    fn ns_per_voxel(&self) -> f64 {
        self.inner.ns_per_voxel() + 1.0
    }
}
