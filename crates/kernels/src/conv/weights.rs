//! Gaussian weights, the same bits on every machine.
//!
//! scipy computes `exp(-0.5 / σ² · x²)`, sums with numpy's pairwise order and divides. The order is reproduced here.
//! The exponential is not the same everywhere (numpy uses its own on AVX-512 machines and the C library's elsewhere;
//! they differ in the last bit for 5 % of the arguments), so ours is correctly rounded, which is what good C libraries
//! return nearly always.

/// A number as an unevaluated sum of two `f64`: about 106 bits.
#[derive(Clone, Copy)]
struct Double(f64, f64);

impl Double {
    /// Sum of two numbers, exactly.
    fn sum(a: f64, b: f64) -> Self {
        let s = a + b;
        let t = s - a;
        Self(s, (a - (s - t)) + (b - t))
    }

    fn plus(self, other: Self) -> Self {
        let s = Self::sum(self.0, other.0);
        Self::sum(s.0, s.1 + (self.1 + other.1))
    }

    fn times(self, other: Self) -> Self {
        let p = self.0 * other.0;
        let rest = self.0.mul_add(other.0, -p);
        Self::sum(p, rest + (self.0 * other.1 + self.1 * other.0))
    }

    fn over(self, divisor: f64) -> Self {
        let q = self.0 / divisor;
        Self::sum(q, ((-q).mul_add(divisor, self.0) + self.1) / divisor)
    }
}

/// `eˣ` for `x ≤ 0`, correctly rounded.
fn exp(x: f64) -> f64 {
    /// ln 2, its first part short enough that small multiples of it are exact.
    const LN2: [f64; 3] = [0.693_147_180_369_123_8, 1.908_214_929_270_587_7e-10, 1.161_222_722_936_253_2e-26];
    /// The series is evaluated at `x / 2⁶` and squared six times.
    const HALVINGS: i32 = 6;
    if x < -746.0 {
        return 0.0;
    }
    let k = (x / std::f64::consts::LN_2).round();
    let r = Double::sum(x - k * LN2[0], 0.0)
        .plus(Double(-k, 0.0).times(Double(LN2[1], LN2[2])))
        .over(f64::from(1 << HALVINGS));
    let one = Double(1.0, 0.0);
    let mut e = one;
    for n in (1..=14).rev() {
        e = one.plus(r.times(e).over(f64::from(n)));
    }
    for _ in 0..HALVINGS {
        e = e.times(e);
    }
    // In two steps, so that a result below the normal range is rounded only once more.
    let k = k as i32;
    let half = k / 2;
    let power = |n: i32| f64::from_bits(((1023 + n) as u64) << 52);
    (e.0 + e.1) * power(half) * power(k - half)
}

/// Sum in the order in which numpy adds a contiguous array.
fn pairwise(values: &[f64]) -> f64 {
    if values.len() < 8 {
        return values.iter().fold(0.0, |sum, v| sum + v);
    }
    if values.len() <= 128 {
        let mut lanes = [0.0; 8];
        lanes.copy_from_slice(&values[..8]);
        let chunks = values[8..].chunks_exact(8);
        let rest = chunks.remainder();
        for chunk in chunks {
            for (lane, v) in lanes.iter_mut().zip(chunk) {
                *lane += v;
            }
        }
        let [a, b, c, d, e, f, g, h] = lanes;
        let sum = ((a + b) + (c + d)) + ((e + f) + (g + h));
        return rest.iter().fold(sum, |sum, v| sum + v);
    }
    let half = values.len() / 2 / 8 * 8;
    pairwise(&values[..half]) + pairwise(&values[half..])
}

/// Radius in voxels at which a Gaussian of that `sigma` in voxels is cut.
#[must_use]
pub(crate) fn radius(sigma: f64, truncate: f64) -> u64 {
    (truncate * sigma + 0.5) as u64
}

/// One half of the weights, centre first; `sigma` in voxels.
#[must_use]
pub(crate) fn gaussian(sigma: f64, radius: usize) -> Vec<f64> {
    let factor = -0.5 / (sigma * sigma);
    let half: Vec<f64> = (0..=radius).map(|x| exp(factor * (x as f64 * x as f64))).collect();
    let all: Vec<f64> = half[1..].iter().rev().chain(&half).copied().collect();
    let sum = pairwise(&all);
    half.iter().map(|w| w / sum).collect()
}

/// The weights of so many voxels in a row, for the mean of a Gaussian that lies in their middle.
#[must_use]
pub(crate) fn centred(sigma: f64, count: usize) -> Vec<f64> {
    let (factor, middle) = (-0.5 / (sigma * sigma), (count - 1) as f64 / 2.0);
    let all: Vec<f64> =
        (0..count).map(|x| exp(factor * ((x as f64 - middle) * (x as f64 - middle)))).collect();
    let sum = pairwise(&all);
    all.iter().map(|w| w / sum).collect()
}

/// One half of the weights of the first or second derivative, centre first: the Gaussian's times what its exponent's
/// derivatives bring, `x / σ²` or `x² / σ⁴ - 1 / σ²`. Of the first, the other half has the other sign.
#[must_use]
pub(crate) fn derivative(sigma: f64, radius: usize, order: u32) -> Vec<f64> {
    let inverse = 1.0 / (sigma * sigma);
    let factor = |x: f64| match order {
        1 => x * inverse,
        _ => x * x * (inverse * inverse) - inverse,
    };
    gaussian(sigma, radius).iter().enumerate().map(|(x, w)| factor(x as f64) * w).collect()
}

/// Weights of a blur for sums in `f32`. The centre takes up what rounding does to their sum, so that a level stays one.
#[must_use]
pub(crate) fn in_f32(weights: &[f64]) -> Vec<f32> {
    let mut rounded: Vec<f32> = weights.iter().map(|&w| w as f32).collect();
    let pairs: f64 = rounded[1..].iter().map(|&w| f64::from(w)).sum();
    rounded[0] = (1.0 - 2.0 * pairs) as f32;
    rounded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_the_nearest_number() {
        // From a 60-digit computation, near ties of the last bit among them.
        for (x, bits) in [
            (0.0, 1f64.to_bits()),
            (-0.125, 0x3fec_3d6a_24ed_8222),
            (-1.0, 0x3fd7_8b56_362c_ef38),
            (-8.0, 0x3f35_fc21_0410_27ad),
        ] {
            assert_eq!(exp(x).to_bits(), bits, "{x}: {:016x}", exp(x).to_bits());
        }
        assert_eq!(exp(-800.0), 0.0);
    }

    #[test]
    fn sums_are_those_of_numpy() {
        // (1 / numpy.arange(1, n + 1)).sum()
        for (n, bits) in [
            (7, 0x4004_be2b_e2be_2be2),
            (100, 0x4014_bfdf_e459_1243),
            (128, 0x4015_bb8a_e954_1ca7),
            (129, 0x4015_c37b_0914_9ba9),
            (300, 0x4019_2172_a3e6_965a),
            (1001, 0x401d_f225_27c7_605a),
        ] {
            let terms: Vec<f64> = (1..=n).map(|k| 1.0 / f64::from(k)).collect();
            assert_eq!(pairwise(&terms).to_bits(), bits, "{n}");
        }
    }
}
