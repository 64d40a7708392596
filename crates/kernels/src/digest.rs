//! SHA-256, by which a source is known again. FIPS 180-4; no speed is asked of it.

/// The digest in hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    let (k, mut h) = (constants::<64>(3), constants::<8>(2));
    let mut padded = bytes.to_vec();
    padded.push(0x80);
    while padded.len() % 64 != 56 {
        padded.push(0);
    }
    padded.extend((bytes.len() as u64 * 8).to_be_bytes());
    for block in padded.chunks_exact(64) {
        let mut w = [0u32; 64];
        for (word, bytes) in w.iter_mut().zip(block.chunks_exact(4)) {
            *word = bytes.iter().fold(0, |word, &byte| word << 8 | u32::from(byte));
        }
        for n in 16..64 {
            let s0 = w[n - 15].rotate_right(7) ^ w[n - 15].rotate_right(18) ^ w[n - 15] >> 3;
            let s1 = w[n - 2].rotate_right(17) ^ w[n - 2].rotate_right(19) ^ w[n - 2] >> 10;
            w[n] = w[n - 16].wrapping_add(s0).wrapping_add(w[n - 7]).wrapping_add(s1);
        }
        let mut v = h;
        for n in 0..64 {
            let s1 = v[4].rotate_right(6) ^ v[4].rotate_right(11) ^ v[4].rotate_right(25);
            let choice = v[4] & v[5] ^ !v[4] & v[6];
            let t1 = v[7].wrapping_add(s1).wrapping_add(choice).wrapping_add(k[n]).wrapping_add(w[n]);
            let s0 = v[0].rotate_right(2) ^ v[0].rotate_right(13) ^ v[0].rotate_right(22);
            let majority = v[0] & v[1] ^ v[0] & v[2] ^ v[1] & v[2];
            v.rotate_right(1);
            v[4] = v[4].wrapping_add(t1);
            v[0] = t1.wrapping_add(s0).wrapping_add(majority);
        }
        h.iter_mut().zip(v).for_each(|(h, v)| *h = h.wrapping_add(v));
    }
    h.iter().map(|word| format!("{word:08x}")).collect()
}

/// The first 32 bits behind the point of the square or cube roots of the first primes.
fn constants<const N: usize>(root: u32) -> [u32; N] {
    let mut primes = (2u64..).filter(|n| (2..*n).take_while(|d| d * d <= *n).all(|d| n % d != 0));
    std::array::from_fn(|_| {
        // The largest r with r^root ≤ prime · 2^(32 root), from the highest bit down.
        let prime = u128::from(primes.next().expect("there is another prime"));
        let (mut r, most) = (0u128, prime << (32 * root));
        for bit in (0..36).rev() {
            let larger = r | 1 << bit;
            if larger.pow(root) <= most {
                r = larger;
            }
        }
        r as u32
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of the standard.
    #[test]
    fn digests_are_those_of_the_standard() {
        let known = [
            ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
            ),
        ];
        for (text, digest) in known {
            assert_eq!(sha256(text.as_bytes()), digest, "{text}");
        }
    }
}
