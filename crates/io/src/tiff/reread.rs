//! Tiles that an earlier run wrote to a file that is not complete: of them the levels are made that were not.

use super::cut::{Coding, Compression, Cut, Predictor};
use super::decode::Work;
use super::encode::Encoding;
use super::split::split;
use crate::{Codec, Damage, IoError};
use voxtile_sched::model::TileMut;

/// Decodes a tile as [`Encoding::encode`] encodes it; `out` is its part inside the image.
pub(super) fn decode(
    encoding: &Encoding,
    encoded: &mut [u8],
    mut out: TileMut<'_>,
) -> Result<Result<(), Damage>, IoError> {
    let Encoding { codec, dtype, width, height, samples, predictor } = *encoding;
    let compression = match codec {
        Codec::Lzw => Compression::Lzw,
        Codec::Deflate { .. } => Compression::Deflate,
        Codec::Zstd { .. } => Compression::Zstd,
        _ => Compression::None,
    };
    let coding = Coding {
        compression,
        predictor: if predictor { Predictor::Horizontal } else { Predictor::None },
        big_endian: cfg!(target_endian = "big"),
        reversed_bits: false,
        ycbcr: false,
        tables: None,
    };
    let cut = Cut {
        width: width as u64,
        height: height as u64,
        slices: 1,
        segment: (width as u64, height as u64),
        thick: 1,
        tiled: true,
        samples: samples as u64,
        planar: false,
        bits: 8 * dtype.size() as u64,
        dtype,
    };
    let Work { mut segment, mut decoder, .. } = Work::default();
    let pixels = segment.bytes(encoding.tile_bytes())?;
    if let Err(damage) = decoder.decode(encoded, &coding, &cut, height, pixels) {
        return Ok(Err(damage));
    }
    decoder.restore(&coding, &cut, pixels)?;
    let [_, planes, _, rows, columns] = out.shape();
    let bytes = out.bytes_mut().expect("a tile without gaps");
    let (size, row) = (dtype.size(), width * samples * dtype.size());
    let plane = rows * columns * size;
    debug_assert_eq!(planes, samples, "one tile holds all samples");
    for (y, pixels) in pixels.chunks_exact(row).take(rows).enumerate() {
        let (at, used) = (y * columns * size, columns * samples * size);
        if samples == 1 {
            bytes[at..at + used].copy_from_slice(&pixels[..used]);
        } else {
            split(dtype, &pixels[..used], samples, &mut bytes[at..], plane);
        }
    }
    Ok(Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tiff::encode;
    use voxtile_sched::model::{Dtype, Tile};

    #[test]
    fn tiles_come_back_as_they_were_encoded() {
        let codecs = ["none", "lzw", "deflate:6", "zstd:3"].map(|c| c.parse().unwrap());
        for codec in codecs {
            for (dtype, samples, predictor) in
                [(Dtype::U16, 1, true), (Dtype::U8, 3, true), (Dtype::U16, 3, true), (Dtype::F32, 1, false)]
            {
                let encoding = Encoding { codec, dtype, width: 32, height: 16, samples, predictor };
                let shape = [1, samples, 1, 13, 30];
                let bytes: Vec<u8> =
                    (0..13 * 30 * samples * dtype.size()).map(|i| (i * i / 7) as u8).collect();
                let mut work = encode::Work::default();
                let mut encoded =
                    encoding.encode(&Tile::new(dtype, shape, &bytes), &mut work).unwrap().to_vec();
                let mut out = vec![0; bytes.len()];
                decode(&encoding, &mut encoded, TileMut::new(dtype, shape, &mut out)).unwrap().unwrap();
                assert_eq!(out, bytes, "{codec} {dtype} {samples}");
            }
        }
    }
}
