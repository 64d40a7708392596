//! The blocks of one scan: from bits to samples in the planes of components.

use super::Fault;
use super::headers::{Component, Frame, Headers, Scan};
use super::huffman::{Bits, Table};
#[cfg(target_arch = "x86_64")]
use super::idct::Avx2;
use super::idct::{Portable, Transform};

/// A component in this scan.
struct Part<'a> {
    component: &'a Component,
    means: &'a Table,
    others: &'a Table,
    quant: [i16; 64],
    /// Blocks of one unit across and down.
    across: usize,
    down: usize,
    /// The last block's mean.
    mean: i32,
}

/// Decodes a scan into planes and says where it ends.
pub(super) fn decode(
    stream: &[u8],
    headers: &Headers,
    frame: &Frame,
    scan: &Scan,
    planes: &mut [u8],
) -> Result<usize, Fault> {
    let alone = scan.components.len() == 1;
    let mut parts = Vec::with_capacity(scan.components.len());
    for &(number, means, others) in &scan.components {
        let component = &frame.components[number];
        let quant = headers.quants[component.quant]
            .ok_or_else(|| Fault::new("uses a quantization table that it does not define"))?;
        // A component alone has units of one block, and none beyond its samples.
        let (across, down) = if alone { (1, 1) } else { (component.across, component.down) };
        let (means, others) = (headers.table(0, means)?, headers.table(1, others)?);
        parts.push(Part { component, means, others, quant, across, down, mean: 0 });
    }
    if !alone && parts.iter().map(|p| p.across * p.down).sum::<usize>() > 10 {
        return Err(Fault::new("has units of more than ten blocks"));
    }
    let units = if alone {
        (parts[0].component.width.div_ceil(8), parts[0].component.height.div_ceil(8))
    } else {
        (frame.width.div_ceil(8 * frame.across), frame.height.div_ceil(8 * frame.down))
    };
    let bits = Bits::new(stream, scan.at);
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("bmi2") {
        // SAFETY: the processor has them.
        return unsafe { blocks_avx2(bits, &mut parts, units, headers.restart, planes) };
    }
    blocks::<Portable>(bits, &mut parts, units, headers.restart, planes)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt")]
fn blocks_avx2(
    bits: Bits<'_>,
    parts: &mut [Part<'_>],
    units: (usize, usize),
    restart: usize,
    planes: &mut [u8],
) -> Result<usize, Fault> {
    blocks::<Avx2>(bits, parts, units, restart, planes)
}

#[inline(always)]
fn blocks<T: Transform>(
    mut bits: Bits<'_>,
    parts: &mut [Part<'_>],
    (across, down): (usize, usize),
    restart: usize,
    planes: &mut [u8],
) -> Result<usize, Fault> {
    let (mut until, mut number) = (restart, 0);
    for unit_y in 0..down {
        for unit_x in 0..across {
            if restart > 0 {
                if until == 0 {
                    bits.restart(number)?;
                    (until, number) = (restart, number + 1);
                    for part in parts.iter_mut() {
                        part.mean = 0;
                    }
                }
                until -= 1;
            }
            for part in parts.iter_mut() {
                let stride = part.component.stride;
                for y in 0..part.down {
                    let row = part.component.start + (unit_y * part.down + y) * 8 * stride;
                    for x in 0..part.across {
                        let mut block = [0i16; 64];
                        let code = || Fault::new("has bits that are no code");
                        part.mean = part.mean.wrapping_add(bits.mean(part.means).ok_or_else(code)?);
                        block[0] = part.mean as i16;
                        let last = bits.others(part.others, &mut block).ok_or_else(code)?;
                        let at = row + (unit_x * part.across + x) * 8;
                        let out = &mut planes[at..at + 7 * stride + 8];
                        T::inverse(&block, &part.quant, last, out, stride);
                    }
                }
            }
        }
        if bits.overrun() {
            return Err(Fault::new(format!("ends in row {unit_y} of {down} rows of blocks")));
        }
    }
    Ok(bits.marker())
}
