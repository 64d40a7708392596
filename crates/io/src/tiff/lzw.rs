//! LZW as TIFF has it: codes of 9 to 12 bits from the high bit on, each width one code early.
//!
//! What a code stands for is the string of the code before it and one byte more, and both lie one behind the other in
//! the output. So a string is a place in the output; those of up to eight bytes are also kept as a number and written
//! at once, eight bytes whatever their length.

use crate::Damage;

const CLEAR: usize = 256;
const END: usize = 257;
const FIRST: usize = 258;
const CODES: usize = 4096;
/// Strings of up to so many bytes are kept as numbers.
const SHORT: usize = 8;

/// The strings of all codes.
pub(super) struct Table {
    /// The first bytes of each string, the first one lowest.
    head: Box<[u64; CODES]>,
    len: Box<[u16; CODES]>,
    /// Where the string lies in the output.
    start: Box<[u32; CODES]>,
}

impl Default for Table {
    fn default() -> Self {
        let mut table =
            Self { head: Box::new([0; CODES]), len: Box::new([0; CODES]), start: Box::new([0; CODES]) };
        for literal in 0..CLEAR {
            table.head[literal] = literal as u64;
            table.len[literal] = 1;
        }
        table
    }
}

/// Bytes of a table.
pub(super) const TABLE_BYTES: u64 = (CODES * (8 + 2 + 4)) as u64;

/// The bits of a stream, most significant first.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The next bits, in the highest places; `count` of them are there.
    held: u64,
    count: u32,
}

impl Bits<'_> {
    #[inline(always)]
    fn take(&mut self, width: u32) -> Option<usize> {
        if self.count < width {
            self.fill();
            if self.count < width {
                return None;
            }
        }
        let code = (self.held >> (64 - width)) as usize;
        self.held <<= width;
        self.count -= width;
        Some(code)
    }

    #[inline(always)]
    fn fill(&mut self) {
        if let Some(next) = self.bytes.get(self.at..).and_then(<[u8]>::first_chunk::<8>) {
            // Whole bytes are counted; the bits of a part of a byte are the same when they come again.
            self.held |= u64::from_be_bytes(*next) >> self.count;
            self.at += ((63 - self.count) >> 3) as usize;
            self.count |= 56;
            return;
        }
        while self.count <= 56 {
            let Some(&byte) = self.bytes.get(self.at) else { return };
            self.held |= u64::from(byte) << (56 - self.count);
            self.at += 1;
            self.count += 8;
        }
    }
}

impl Table {
    /// Decodes to the front of `out` until it is full or the stream ends, and says how many bytes there are.
    ///
    /// # Errors
    /// [`Damage::Codec`] for a code that stands for nothing yet.
    // Alone it keeps its state in registers; inlined among other codecs it does not.
    #[inline(never)]
    pub(super) fn decode(&mut self, encoded: &[u8], out: &mut [u8]) -> Result<usize, Damage> {
        let mut bits = Bits { bytes: encoded, at: 0, held: 0, count: 0 };
        let (head, len, start) = (&mut *self.head, &mut *self.len, &mut *self.start);
        let mut at = 0;
        let mut width = 9;
        // The number of the next string; it is one that was not there before, unless no string came before it.
        let mut next = FIRST;
        let mut before: Option<usize> = None;
        while at < out.len() {
            let Some(code) = bits.take(width) else { break };
            if code == CLEAR {
                (width, next, before) = (9, FIRST, None);
                continue;
            }
            if code == END {
                break;
            }
            if let Some(previous) = before
                && next < CODES
            {
                // The new string is the one before and the first byte of this one, which may be the new one itself.
                let known = if code < next { code } else { previous };
                let n = usize::from(len[previous]);
                let first = head[known] & 0xFF;
                head[next] = if n < SHORT { head[previous] | first << (8 * n) } else { head[previous] };
                len[next] = n as u16 + 1;
                start[next] = (at - n) as u32;
                next += 1;
                if next + 1 >= 1 << width && width < 12 {
                    width += 1;
                }
            }
            if code >= next || (before.is_none() && code >= CLEAR) {
                let message = format!("invalid code near byte {}", bits.at);
                return Err(Damage::Codec { codec: "LZW", message });
            }
            let n = usize::from(len[code]);
            if n <= SHORT
                && let Some(room) = out[at..].first_chunk_mut::<SHORT>()
            {
                *room = head[code].to_le_bytes();
                at += n;
            } else {
                at += long(out, at, n, head[code], start[code] as usize);
            }
            before = Some(code);
        }
        Ok(at)
    }
}

/// Writes a string that is long or lies at the end of the output, as far as it has room.
#[inline(never)]
fn long(out: &mut [u8], at: usize, n: usize, head: u64, start: usize) -> usize {
    let n = n.min(out.len() - at);
    if n <= SHORT {
        out[at..at + n].copy_from_slice(&head.to_le_bytes()[..n]);
        return n;
    }
    let (written, room) = out.split_at_mut(at);
    // The last byte of a string that is its own beginning is not there yet.
    let there = n.min(at - start);
    room[..there].copy_from_slice(&written[start..start + there]);
    if there < n {
        room[there] = written[start];
    }
    n
}

#[cfg(test)]
mod tests {
    use super::*;
    use weezl::BitOrder;

    fn encoded(data: &[u8]) -> Vec<u8> {
        weezl::encode::Encoder::with_tiff_size_switch(BitOrder::Msb, 8).encode(data).unwrap()
    }

    fn decoded(stream: &[u8], len: usize) -> Result<Vec<u8>, Damage> {
        let mut out = vec![0xA5; len];
        let n = Table::default().decode(stream, &mut out)?;
        out.truncate(n);
        Ok(out)
    }

    /// Noise of so many different bytes.
    fn noise(len: usize, below: u64) -> Vec<u8> {
        let mut state = 3u64;
        let step = |s: &mut u64| {
            *s = s.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (*s >> 33) % below
        };
        (0..len).map(|_| step(&mut state) as u8).collect()
    }

    #[test]
    fn decodes_what_another_program_encoded() {
        for len in [0, 1, 2, 7, 8, 9, 300, 5000, 200_000] {
            for below in [1, 2, 5, 40, 256] {
                let data = noise(len, below);
                assert_eq!(decoded(&encoded(&data), len).unwrap(), data, "{len} bytes below {below}");
                // Less room than there are bytes.
                assert_eq!(decoded(&encoded(&data), len / 2).unwrap(), data[..len / 2]);
            }
        }
    }

    #[test]
    fn a_table_is_used_again() {
        let mut table = Table::default();
        for below in [256, 3, 1, 90] {
            let data = noise(20_000, below);
            let mut out = vec![0; data.len()];
            assert_eq!(table.decode(&encoded(&data), &mut out).unwrap(), data.len());
            assert_eq!(out, data);
        }
    }

    #[test]
    fn a_code_of_nothing_is_damage() {
        // Clear, then 300.
        let stream = [0b1000_0000, 0b0100_1011, 0b0000_0000];
        assert!(decoded(&stream, 10).is_err());
        // A string before any literal.
        assert!(decoded(&[0b1000_0001, 0, 0], 10).is_err());
    }

    #[test]
    fn any_bytes_end_without_a_panic() {
        for seed in 0..400 {
            let mut stream = encoded(&noise(3000, 1 + seed % 60));
            for (i, b) in noise(40, 256).into_iter().enumerate() {
                let at = (i * 97 + seed as usize * 13) % stream.len();
                stream[at] ^= b;
            }
            let _ = decoded(&stream, 3000);
        }
    }
}
