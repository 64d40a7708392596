//! Huffman codes, and the bits of a scan.
//!
//! One look at the next [`LOOK`] bits gives a short code together with the value behind it; longer values need a second
//! step, and the few codes that are longer still are compared length by length.

use super::Fault;

/// Bits that are looked up at once.
const LOOK: u32 = 11;

/// How many bytes one table takes.
pub(super) const TABLE_BYTES: usize = size_of::<Table>();

/// Codes of one table. An entry of `short` is `value << 16 | size << 12 | run << 8 | bits to drop`: with a value, all of
/// it was within the bits looked up; without, `size` bits of it follow; nothing to drop: the code is longer.
pub(super) struct Table {
    short: [u32; 1 << LOOK],
    /// For every length, the first code that is longer, in the upper bits of 16.
    ends: [u32; 17],
    /// What to add to a code of some length to find its symbol.
    shift: [i32; 17],
    symbols: [u8; 256],
    /// The counts and symbols that the table was made from: streams repeat their tables.
    made_of: Vec<u8>,
}

impl Table {
    pub(super) fn new() -> Box<Self> {
        Box::new(Self {
            short: [0; 1 << LOOK],
            ends: [0; 17],
            shift: [0; 17],
            symbols: [0; 256],
            made_of: Vec::new(),
        })
    }

    /// Takes the table from the 16 counts and the symbols of a stream.
    pub(super) fn make(&mut self, spec: &[u8]) -> Result<(), Fault> {
        if self.made_of == spec {
            return Ok(());
        }
        self.made_of.clear();
        self.short.fill(0);
        let (counts, symbols) = spec.split_at(16);
        self.symbols[..symbols.len()].copy_from_slice(symbols);
        let (mut code, mut at) = (0u32, 0);
        for len in 1..=16u32 {
            let count = u32::from(counts[len as usize - 1]);
            self.shift[len as usize] = at - code as i32;
            for symbol in &symbols[at as usize..][..count as usize] {
                if code >= 1 << len {
                    return Err(Fault::new("has a Huffman table of more codes than there can be"));
                }
                if len <= LOOK {
                    self.short_code(code, len, *symbol);
                }
                code += 1;
            }
            at += count as i32;
            self.ends[len as usize] = code << (16 - len);
            code <<= 1;
        }
        self.made_of.extend_from_slice(spec);
        Ok(())
    }

    fn short_code(&mut self, code: u32, len: u32, symbol: u8) {
        let (run, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
        let first = code << (LOOK - len);
        for rest in 0..1u32 << (LOOK - len) {
            self.short[(first + rest) as usize] = if size > 0 && len + size <= LOOK {
                let value = extend(rest >> (LOOK - len - size), size);
                u32::from(value as i16 as u16) << 16 | run << 8 | (len + size)
            } else {
                size << 12 | run << 8 | len
            };
        }
    }
}

/// The number that `size` bits stand for: without a leading 1 it is negative.
#[inline(always)]
fn extend(bits: u32, size: u32) -> i32 {
    let negative = (bits >> (size - 1)) ^ 1;
    bits as i32 - ((negative << size) as i32 - negative as i32)
}

/// The bits of one scan, up to the next marker. Behind the last there are zeros, and [`Bits::overrun`] tells it.
pub(super) struct Bits<'a> {
    data: &'a [u8],
    at: usize,
    /// The next bits, from the top.
    word: u64,
    /// How many of them have been counted; below may be more.
    held: u32,
    /// How many of the counted ones are zeros that nobody wrote.
    made_up: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(data: &'a [u8], at: usize) -> Self {
        Self { data, at, word: 0, held: 0, made_up: 0 }
    }

    /// Whether more was taken than there is.
    pub(super) fn overrun(&self) -> bool {
        self.made_up > self.held
    }

    /// Place of the marker at the end of these bits.
    pub(super) fn marker(&self) -> usize {
        let mut at = self.at;
        while let Some([byte, next, ..]) = self.data.get(at..) {
            if *byte == 0xFF && !matches!(next, 0 | 0xFF) {
                break;
            }
            at += 1;
        }
        at
    }

    /// Goes on behind the restart marker that must be next.
    pub(super) fn restart(&mut self, number: u32) -> Result<(), Fault> {
        let at = self.marker();
        let want = 0xD0 | (number & 7) as u8;
        if self.overrun() || self.data.get(at..at + 2) != Some(&[0xFF, want]) {
            return Err(Fault::new(format!("has no restart marker {} near byte {at}", number & 7)));
        }
        *self = Bits::new(self.data, at + 2);
        Ok(())
    }

    /// Makes sure that at least 56 bits are held. Without a branch on how many there are, which nobody could foresee.
    #[inline(always)]
    fn fill(&mut self) {
        if let Some(next) = self.data.get(self.at..).and_then(|d| d.first_chunk::<8>()) {
            let next = u64::from_be_bytes(*next);
            // Bytes whose upper bit is lost by adding 1: those of 0xFF, and perhaps one above such a byte.
            let full = next & !(next.wrapping_add(0x0101_0101_0101_0101)) & 0x8080_8080_8080_8080;
            if full == 0 {
                self.word |= next >> self.held;
                self.at += (63 - self.held as usize) >> 3;
                self.held |= 56;
                return;
            }
        }
        self.fill_by_bytes();
    }

    #[cold]
    #[inline(never)]
    fn fill_by_bytes(&mut self) {
        self.word &= !(u64::MAX >> self.held);
        while self.held < 56 {
            let byte = match self.data.get(self.at..) {
                Some([0xFF, 0, ..]) => {
                    self.at += 2;
                    0xFF
                }
                Some([byte, ..]) if *byte != 0xFF => {
                    self.at += 1;
                    *byte
                }
                _ => {
                    self.made_up += 8;
                    0
                }
            };
            self.word |= u64::from(byte) << (56 - self.held);
            self.held += 8;
        }
    }

    #[inline(always)]
    fn look(&self, table: &Table) -> u32 {
        table.short[(self.word >> (64 - LOOK)) as usize]
    }

    #[inline(always)]
    fn skip(&mut self, count: u32) {
        self.word <<= count;
        self.held -= count;
    }

    /// A value of `size` bits, 1 to 15.
    #[inline(always)]
    fn value(&mut self, size: u32) -> i32 {
        let bits = (self.word >> (64 - size)) as u32;
        self.skip(size);
        extend(bits, size)
    }

    /// A code that is longer than what is looked up: run and size.
    #[cold]
    #[inline(never)]
    fn long_code(&mut self, table: &Table) -> Option<(u32, u32)> {
        let next = (self.word >> 48) as u32;
        let len = (LOOK + 1..=16).find(|&len| next < table.ends[len as usize])?;
        let symbol = (next >> (16 - len)) as i32 + table.shift[len as usize];
        let symbol = *table.symbols.get(usize::try_from(symbol).ok()?)?;
        self.skip(len);
        Some((u32::from(symbol >> 4), u32::from(symbol & 15)))
    }

    /// One bit.
    #[inline(always)]
    pub(super) fn bit(&mut self) -> bool {
        self.plain(1) == 1
    }

    /// A number of as many bits, up to 15, none of which is a sign.
    #[inline(always)]
    pub(super) fn plain(&mut self, size: u32) -> u32 {
        if self.held < size {
            self.fill();
        }
        // Two steps: all 64 bits cannot be moved out at once.
        let bits = (self.word >> 1 >> (63 - size)) as u32;
        self.skip(size);
        bits
    }

    /// A run of zeros and the value behind it; 0: the code has none.
    #[inline(always)]
    pub(super) fn coefficient(&mut self, table: &Table) -> Option<(u32, i32)> {
        self.fill();
        let entry = self.look(table);
        self.skip(entry & 0xFF);
        if entry >> 16 != 0 {
            return Some((entry >> 8 & 15, (entry as i32) >> 16));
        }
        let (run, size) = if entry != 0 { (entry >> 8 & 15, entry >> 12) } else { self.long_code(table)? };
        Some((run, if size == 0 { 0 } else { self.value(size) }))
    }

    /// The difference of a block's mean from the last one's.
    #[inline(always)]
    pub(super) fn mean(&mut self, table: &Table) -> Option<i32> {
        self.fill();
        let entry = self.look(table);
        if entry >> 16 != 0 {
            self.skip(entry & 0xFF);
            return Some((entry as i32) >> 16);
        }
        let size = if entry != 0 {
            self.skip(entry & 0xFF);
            entry >> 12
        } else {
            self.long_code(table)?.1
        };
        Some(if size == 0 { 0 } else { self.value(size) })
    }

    /// The other coefficients into their places of a block of zeros; the place in the order of the stream of the last
    /// one, or 0. `None`: there is no such code, or more of them than a block has.
    #[inline(always)]
    pub(super) fn others(&mut self, table: &Table, block: &mut [i16; 64]) -> Option<usize> {
        let (mut k, mut last) = (1, 0);
        while k < 64 {
            // 56 bits are enough for two values that are looked up and a third of any length.
            self.fill();
            let mut entry = self.look(table);
            for _ in 0..2 {
                if entry >> 16 == 0 || k >= 64 {
                    break;
                }
                self.skip(entry & 0xFF);
                k += (entry >> 8 & 15) as usize;
                block[usize::from(PLACES[k & 127] & 63)] = (entry >> 16) as i16;
                last = k;
                k += 1;
                entry = self.look(table);
            }
            if k >= 64 {
                break;
            }
            let (run, size) =
                if entry != 0 { (entry >> 8 & 15, entry >> 12 & 15) } else { self.long_code(table)? };
            self.skip(entry & 0xFF);
            let value = if entry >> 16 != 0 {
                (entry >> 16) as i16
            } else if size != 0 {
                self.value(size) as i16
            } else if run < 15 {
                break;
            } else {
                k += 16;
                continue;
            };
            k += run as usize;
            block[usize::from(PLACES[k & 127] & 63)] = value;
            last = k;
            k += 1;
        }
        (k <= 64).then_some(last)
    }
}

/// Row-major places of the coefficients in the order of the stream; runs may lead beyond the last.
pub(super) static PLACES: [u8; 128] = {
    let mut places = [63; 128];
    let (mut at, mut diagonal) = (0, 0);
    while diagonal < 15 {
        let mut step = 0;
        while step <= diagonal {
            // Odd diagonals go down, even ones up.
            let (y, x) = if diagonal % 2 == 1 { (step, diagonal - step) } else { (diagonal - step, step) };
            if y < 8 && x < 8 {
                places[at] = y * 8 + x;
                at += 1;
            }
            step += 1;
        }
        diagonal += 1;
    }
    places
};
