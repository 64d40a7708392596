//! From samples as files have them to samples of the machine: byte order, and floats that no type of ours has.

/// Turns samples of `size` bytes of another byte order into the machine's, or the reverse.
pub(crate) fn swap_bytes(size: usize, bytes: &mut [u8]) {
    fn swap<const N: usize>(bytes: &mut [u8]) {
        for v in bytes.as_chunks_mut::<N>().0 {
            v.reverse();
        }
    }
    match size {
        2 => swap::<2>(bytes),
        3 => swap::<3>(bytes),
        4 => swap::<4>(bytes),
        8 => swap::<8>(bytes),
        _ => {}
    }
}

/// The same number in single precision, which holds every number of half precision.
fn half(bits: u16) -> f32 {
    let (sign, exponent, fraction) =
        (u32::from(bits & 0x8000) << 16, u32::from(bits >> 10 & 31), u32::from(bits & 1023));
    match exponent {
        // Below the normal numbers: multiples of 2^-24.
        0 => f32::from_bits(sign | (fraction as f32 * (1.0 / 16_777_216.0)).to_bits()),
        31 => f32::from_bits(sign | 0x7F80_0000 | fraction << 13),
        _ => f32::from_bits(sign | (exponent + 112) << 23 | fraction << 13),
    }
}

/// Half precision, in the machine's byte order, to single precision. `out` is aligned for it.
pub(crate) fn widen_half(halves: &[u8], out: &mut [u8]) {
    for (out, bits) in bytemuck::cast_slice_mut::<u8, f32>(out).iter_mut().zip(halves.as_chunks::<2>().0) {
        *out = half(u16::from_ne_bytes(*bits));
    }
}

/// Floats of 24 bits (7 of them exponent, 16 fraction), in the machine's byte order, to single precision. `out` is
/// aligned for it.
pub(crate) fn widen_24(floats: &[u8], out: &mut [u8]) {
    let out = bytemuck::cast_slice_mut::<u8, f32>(out);
    for (out, b) in out.iter_mut().zip(floats.as_chunks::<3>().0) {
        let bits = if cfg!(target_endian = "little") {
            u32::from_le_bytes([b[0], b[1], b[2], 0])
        } else {
            u32::from_be_bytes([0, b[0], b[1], b[2]])
        };
        let (sign, exponent, fraction) = (bits >> 23 << 31, bits >> 16 & 127, bits & 0xFFFF);
        *out = match exponent {
            // Multiples of 2^-78.
            0 => f32::from_bits(sign | (fraction as f32 * f32::from_bits((127 - 78) << 23)).to_bits()),
            127 => f32::from_bits(sign | 0x7F80_0000 | fraction << 7),
            _ => f32::from_bits(sign | (exponent + 64) << 23 | fraction << 7),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_is_itself() {
        // The definition, in double precision.
        for bits in 0..=u16::MAX {
            let (e, f) = (i32::from(bits >> 10 & 31), f64::from(bits & 1023));
            let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
            let want = match e {
                0 => sign * f / 1024.0 * 2f64.powi(-14),
                31 if f == 0.0 => sign * f64::INFINITY,
                31 => f64::NAN,
                _ => sign * (1.0 + f / 1024.0) * 2f64.powi(e - 15),
            };
            let got = f64::from(half(bits));
            assert!(
                got == want && got.is_sign_negative() == want.is_sign_negative()
                    || got.is_nan() && want.is_nan()
            );
        }
    }

    #[test]
    fn floats_of_24_bits_are_themselves() {
        let as_bits = |bits: u32| {
            let bytes =
                if cfg!(target_endian = "little") { bits.to_le_bytes() } else { (bits << 8).to_be_bytes() };
            let mut out = [0f32];
            widen_24(&bytes[..3], bytemuck::cast_slice_mut(&mut out));
            out[0]
        };
        assert_eq!(as_bits(63 << 16), 1.0);
        assert_eq!(as_bits(1 << 23 | 64 << 16 | 0x8000), -3.0);
        assert_eq!(as_bits(1), 2f32.powi(-78));
        assert_eq!(as_bits(127 << 16), f32::INFINITY);
        assert!(as_bits(127 << 16 | 1).is_nan());
    }
}
