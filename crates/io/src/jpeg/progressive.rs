//! Progressive streams: every scan brings some coefficients of all blocks, or one more bit of them, so all are held until
//! the last one is exact (ITU T.81, annex G).
//!
//! What a scan may bring is checked before its bits are read: a coefficient comes once, and then each of its lower bits
//! once. So a stream has no more scans than coefficients have bits, however few bytes a scan of nothing takes.

use super::Fault;
use super::headers::{Component, Frame, Headers, Scan};
use super::huffman::{Bits, PLACES, Table};
#[cfg(target_arch = "x86_64")]
use super::idct::Avx2;
use super::idct::{Portable, Transform};

type Block = [i16; 64];

/// What the scans of one stream have brought so far.
#[derive(Default)]
pub(super) struct Progress {
    /// Of all components one after the other, as their samples lie in the planes.
    blocks: Vec<Block>,
    /// For each component and place in the order of the stream, the lowest bits that are missing; `None`: all are.
    missing: [Vec<Option<u8>>; 4],
    /// Of each component, as they were at its first scan.
    quants: Vec<[i16; 64]>,
}

/// The part of a scan that does not change from block to block.
struct Bring<'a> {
    first: usize,
    last: usize,
    /// Whether coefficients come with what is above this bit, or get this bit.
    fresh: bool,
    low: u8,
    others: Option<&'a Table>,
}

/// A component in a scan of means.
struct Part<'a> {
    component: &'a Component,
    table: Option<&'a Table>,
    across: usize,
    down: usize,
    mean: i32,
}

impl Progress {
    /// Forgets another stream, and takes room for this one.
    pub(super) fn start(&mut self, frame: &Frame) -> Result<(), Fault> {
        let blocks = frame.components.iter().map(|c| c.stride * c.rows / 64).sum::<usize>();
        self.blocks.clear();
        let bytes = blocks * size_of::<Block>();
        self.blocks
            .try_reserve_exact(blocks)
            .map_err(|_| Fault::new(format!("needs {bytes} bytes, and memory has them not")))?;
        self.blocks.resize(blocks, [0; 64]);
        self.quants.clear();
        self.quants.resize(frame.components.len(), [0; 64]);
        for missing in &mut self.missing {
            missing.clear();
            missing.resize(64, None);
        }
        Ok(())
    }

    /// Whether every coefficient of every component is exact.
    pub(super) fn complete(&self, frame: &Frame) -> bool {
        self.missing[..frame.components.len()].iter().flatten().all(|&low| low == Some(0))
    }

    /// Takes what a scan brings and says where it ends.
    pub(super) fn scan(
        &mut self,
        stream: &[u8],
        headers: &Headers,
        frame: &Frame,
        scan: &Scan,
    ) -> Result<usize, Fault> {
        let (first, last) = scan.places;
        let (high, low) = scan.bits;
        let alone = scan.components.len() == 1;
        if last > 63 || first > last || low > 13 || (first == 0 && last > 0) || (first > 0 && !alone) {
            return Err(Fault::new(format!("has a scan of coefficients {first} to {last}, which cannot be")));
        }
        for &(number, ..) in &scan.components {
            for missing in &mut self.missing[number][first..=last] {
                let fits = match *missing {
                    None => high == 0,
                    Some(bits) => bits > 0 && high == bits && low + 1 == bits,
                };
                if !fits {
                    return Err(Fault::new("has scans in an order that cannot be"));
                }
                if missing.replace(low).is_none() && first == 0 {
                    let quant = headers.quants[frame.components[number].quant];
                    self.quants[number] = quant
                        .ok_or_else(|| Fault::new("uses a quantization table that it does not define"))?;
                }
            }
        }
        let bits = Bits::new(stream, scan.at);
        let fresh = high == 0;
        if first == 0 {
            let parts = scan.components.iter().map(|&(number, means, _)| {
                let component = &frame.components[number];
                let (across, down) = if alone { (1, 1) } else { (component.across, component.down) };
                let table = if fresh { Some(headers.table(0, means)?) } else { None };
                Ok(Part { component, table, across, down, mean: 0 })
            });
            let mut parts = parts.collect::<Result<Vec<_>, _>>()?;
            let units = if alone {
                blocks_of(parts[0].component)
            } else {
                (frame.width.div_ceil(8 * frame.across), frame.height.div_ceil(8 * frame.down))
            };
            return self.means(bits, &mut parts, units, headers.restart, low);
        }
        let (number, _, others) = scan.components[0];
        let bring = Bring { first, last, fresh, low, others: Some(headers.table(1, others)?) };
        self.others(bits, &frame.components[number], headers.restart, &bring)
    }

    fn means(
        &mut self,
        mut bits: Bits<'_>,
        parts: &mut [Part<'_>],
        (across, down): (usize, usize),
        restart: usize,
        low: u8,
    ) -> Result<usize, Fault> {
        let mut restarts = Restarts::new(restart);
        for unit_y in 0..down {
            for unit_x in 0..across {
                if restarts.due(&mut bits)? {
                    parts.iter_mut().for_each(|part| part.mean = 0);
                }
                for part in parts.iter_mut() {
                    let (start, wide) = place(part.component);
                    for y in 0..part.down {
                        let row = start + (unit_y * part.down + y) * wide + unit_x * part.across;
                        for block in &mut self.blocks[row..row + part.across] {
                            match part.table {
                                Some(table) => {
                                    let step = bits.mean(table).ok_or_else(no_code)?;
                                    part.mean = part.mean.wrapping_add(step);
                                    block[0] = (part.mean << low) as i16;
                                }
                                None => block[0] |= i16::from(bits.bit()) << low,
                            }
                        }
                    }
                }
            }
            ends_early(&bits, unit_y, down)?;
        }
        Ok(bits.marker())
    }

    fn others(
        &mut self,
        mut bits: Bits<'_>,
        component: &Component,
        restart: usize,
        bring: &Bring<'_>,
    ) -> Result<usize, Fault> {
        let ((across, down), (start, wide)) = (blocks_of(component), place(component));
        let mut restarts = Restarts::new(restart);
        // Blocks, from this one on, that bring nothing new.
        let mut idle = 0;
        for y in 0..down {
            for block in &mut self.blocks[start + y * wide..][..across] {
                if restarts.due(&mut bits)? {
                    idle = 0;
                }
                if bring.fresh {
                    bring.values(&mut bits, block, &mut idle)?;
                } else {
                    bring.one_bit(&mut bits, block, &mut idle)?;
                }
            }
            ends_early(&bits, y, down)?;
        }
        Ok(bits.marker())
    }

    /// The samples of all components.
    pub(super) fn samples(&self, frame: &Frame, planes: &mut [u8]) {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has AVX2.
            return unsafe { self.samples_avx2(frame, planes) };
        }
        self.transformed::<Portable>(frame, planes);
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn samples_avx2(&self, frame: &Frame, planes: &mut [u8]) {
        self.transformed::<Avx2>(frame, planes);
    }

    #[inline(always)]
    fn transformed<T: Transform>(&self, frame: &Frame, planes: &mut [u8]) {
        for (component, quant) in frame.components.iter().zip(&self.quants) {
            let (start, wide) = place(component);
            let stride = component.stride;
            for y in 0..component.rows / 8 {
                for (x, block) in self.blocks[start + y * wide..][..wide].iter().enumerate() {
                    let last = if block[1..].iter().all(|&v| v == 0) { 0 } else { 63 };
                    let at = component.start + y * 8 * stride + 8 * x;
                    T::inverse(block, quant, last, &mut planes[at..at + 7 * stride + 8], stride);
                }
            }
        }
    }
}

impl Bring<'_> {
    fn code(&self, bits: &mut Bits<'_>) -> Result<(usize, i32), Fault> {
        let table = self.others.ok_or_else(no_code)?;
        let (run, value) = bits.coefficient(table).ok_or_else(no_code)?;
        Ok((run as usize, value))
    }

    /// Coefficients that come for the first time.
    fn values(&self, bits: &mut Bits<'_>, block: &mut Block, idle: &mut u32) -> Result<(), Fault> {
        if *idle > 0 {
            *idle -= 1;
            return Ok(());
        }
        let mut k = self.first;
        while k <= self.last {
            let (run, value) = self.code(bits)?;
            if value != 0 {
                k += run;
                if k > self.last {
                    return Err(no_code());
                }
                block[usize::from(PLACES[k])] = (value << self.low) as i16;
                k += 1;
            } else if run == 15 {
                k += 16;
            } else {
                *idle = (1 << run) - 1 + bits.plain(run as u32);
                break;
            }
        }
        Ok(())
    }

    /// One more bit of those that are not 0, and new ones among those that are.
    fn one_bit(&self, bits: &mut Bits<'_>, block: &mut Block, idle: &mut u32) -> Result<(), Fault> {
        let one = 1i16 << self.low;
        let refine = |bits: &mut Bits<'_>, value: &mut i16| {
            if bits.bit() && *value & one == 0 {
                *value = value.wrapping_add(if *value < 0 { -one } else { one });
            }
        };
        let mut k = self.first;
        while *idle == 0 && k <= self.last {
            let (mut run, value) = self.code(bits)?;
            if value == 0 && run < 15 {
                *idle = (1 << run) + bits.plain(run as u32);
                break;
            }
            if value.abs() > 1 {
                return Err(no_code());
            }
            // Past `run` zeros, to the next.
            while k <= self.last {
                let known = &mut block[usize::from(PLACES[k])];
                if *known != 0 {
                    refine(bits, known);
                } else if run == 0 {
                    break;
                } else {
                    run -= 1;
                }
                k += 1;
            }
            if value != 0 {
                if k > self.last {
                    return Err(no_code());
                }
                block[usize::from(PLACES[k])] = if value < 0 { -one } else { one };
            }
            k += 1;
        }
        if *idle > 0 {
            for &at in PLACES.get(k..=self.last).unwrap_or_default() {
                let known = &mut block[usize::from(at)];
                if *known != 0 {
                    refine(bits, known);
                }
            }
            *idle -= 1;
        }
        Ok(())
    }
}

/// When the next restart marker is due.
struct Restarts {
    every: usize,
    until: usize,
    number: u32,
}

impl Restarts {
    fn new(every: usize) -> Self {
        Self { every, until: every, number: 0 }
    }

    /// Before each unit: goes on behind a marker if one is due, and says whether.
    fn due(&mut self, bits: &mut Bits<'_>) -> Result<bool, Fault> {
        if self.every == 0 {
            return Ok(false);
        }
        let due = self.until == 0;
        if due {
            bits.restart(self.number)?;
            (self.until, self.number) = (self.every, self.number + 1);
        }
        self.until -= 1;
        Ok(due)
    }
}

/// Blocks of a component's samples across and down, without those that only fill units.
fn blocks_of(component: &Component) -> (usize, usize) {
    (component.width.div_ceil(8), component.height.div_ceil(8))
}

/// Number of a component's first block, and blocks of one of its rows.
fn place(component: &Component) -> (usize, usize) {
    (component.start / 64, component.stride / 8)
}

fn no_code() -> Fault {
    Fault::new("has bits that are no code")
}

fn ends_early(bits: &Bits<'_>, row: usize, rows: usize) -> Result<(), Fault> {
    if bits.overrun() {
        return Err(Fault::new(format!("ends in row {row} of {rows} rows of blocks")));
    }
    Ok(())
}
