//! JPEG segments: the shared tables, and colours by the TIFF's word instead of the stream's.

use crate::Damage;
use crate::jpeg::{Decoder, TABLE_BYTES, Wanted};

/// Bytes that the decoding of a segment needs besides its stream and its samples.
pub(super) fn context_bytes(width: u64, rows: u64, samples: u64) -> u64 {
    // Planes of whole units, four blocks across and down, and some rows. Progressive streams, which headers of a TIFF do
    // not tell: all coefficients, twice as many bytes as samples.
    TABLE_BYTES + 3 * (width + 32) * (rows + 32) * samples + 16 * (width + 32)
}

/// Decodes one segment into planes, `out.len() / samples` bytes apart, and says how many bytes there are of them.
pub(super) fn decode(
    decoder: &mut Decoder,
    encoded: &[u8],
    tables: Option<&[u8]>,
    wanted: &Wanted,
    out: &mut [u8],
) -> Result<usize, Damage> {
    match decoder.decode(tables, encoded, wanted, out) {
        Ok(rows) => Ok(rows * wanted.width * wanted.samples),
        Err(fault) => Err(Damage::Codec { codec: "JPEG", message: fault.0 }),
    }
}
