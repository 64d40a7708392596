//! The ellipse or ellipsoid whose second moments are an object's.

use super::{Object, PAIRS};

/// Lengths in voxels, angle in radians.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ellipse {
    pub(crate) major: f64,
    pub(crate) minor: f64,
    /// Of two axes.
    pub(crate) eccentricity: f64,
    /// Of two axes: from the first axis to the major one, counter-clockwise, −π/2 to π/2.
    pub(crate) orientation: f64,
}

/// Of an object in an image with these axes (of z, y, x): two or three.
pub(crate) fn ellipse(object: &Object, axes: &[usize]) -> Ellipse {
    let moment = |a: usize, b: usize| covariance(object, axes[a], axes[b]);
    if let [_, _] = axes {
        // The tensor of inertia: what a mass in the plane resists turning with.
        let (a, b, c) = (moment(1, 1), -moment(0, 1), moment(0, 0));
        let middle = (a + c) / 2.0;
        let apart = ((a - c) / 2.0).hypot(b);
        let (large, small) = (middle + apart, (middle - apart).max(0.0));
        let level = if b < 0.0 { 1.0 } else { -1.0 };
        return Ellipse {
            major: 4.0 * large.sqrt(),
            minor: 4.0 * small.sqrt(),
            eccentricity: if large == 0.0 { 0.0 } else { (1.0 - small / large).sqrt() },
            orientation: if a == c {
                level * std::f64::consts::FRAC_PI_4
            } else {
                0.5 * (-2.0 * b).atan2(c - a)
            },
        };
    }
    // The tensor of inertia has the eigenvalues of the covariance, each taken from their sum.
    let [large, _, small] = eigenvalues(std::array::from_fn(|a| std::array::from_fn(|b| moment(a, b))));
    Ellipse {
        major: (20.0 * large).sqrt(),
        minor: (20.0 * small).sqrt(),
        eccentricity: f64::NAN,
        orientation: f64::NAN,
    }
}

/// Of the positions along two of z, y, x: exact up to the division.
fn covariance(object: &Object, a: usize, b: usize) -> f64 {
    let pair = PAIRS.iter().position(|p| *p == (a.min(b), a.max(b))).expect("a pair of axes");
    // From the corner of its box, so that the products stay small.
    let n = i128::from(object.voxels);
    let [p, q] = [a, b].map(|axis| i128::from(object.low[axis]));
    let (sum_a, sum_b) = (object.first[a] - n * p, object.first[b] - n * q);
    let product = object.second[pair] - p * object.first[b] - q * object.first[a] + n * p * q;
    let n_f64 = n as f64;
    match n.checked_mul(product).zip(sum_a.checked_mul(sum_b)) {
        Some((whole, square)) => (whole - square) as f64 / n_f64 / n_f64,
        None => product as f64 / n_f64 - (sum_a as f64 / n_f64) * (sum_b as f64 / n_f64),
    }
}

/// Of a symmetric matrix, the largest first, by Jacobi's rotations. What is rounding beside the largest is 0.
fn eigenvalues(mut m: [[f64; 3]; 3]) -> [f64; 3] {
    const SWEEPS: usize = 30;
    const ROUNDING: f64 = 1e-13;
    for _ in 0..SWEEPS {
        for (p, q) in [(0, 1), (0, 2), (1, 2)] {
            if m[p][q] == 0.0 {
                continue;
            }
            let theta = (m[q][q] - m[p][p]) / (2.0 * m[p][q]);
            let t = theta.signum() / (theta.abs() + theta.hypot(1.0));
            let c = 1.0 / t.hypot(1.0);
            let s = t * c;
            let r = 3 - p - q;
            let (mpp, mqq, mpq) = (m[p][p], m[q][q], m[p][q]);
            let (mpr, mqr) = (m[p][r], m[q][r]);
            m[p][p] = mpp - t * mpq;
            m[q][q] = mqq + t * mpq;
            (m[p][q], m[q][p]) = (0.0, 0.0);
            (m[p][r], m[r][p]) = (c * mpr - s * mqr, c * mpr - s * mqr);
            (m[q][r], m[r][q]) = (s * mpr + c * mqr, s * mpr + c * mqr);
        }
    }
    let mut out = [m[0][0], m[1][1], m[2][2]];
    out.sort_unstable_by(|a, b| b.total_cmp(a));
    let least = out[0] * ROUNDING;
    out.map(|v| if v > least { v } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eigenvalues_are_those_of_a_turned_diagonal() {
        let (s, c) = (0.6f64, 0.8f64);
        // diag(7, 3, 1) turned about the third axis, then about the first.
        let turn = |m: [[f64; 3]; 3], r: [[f64; 3]; 3]| -> [[f64; 3]; 3] {
            let times = |a: [[f64; 3]; 3], b: [[f64; 3]; 3]| -> [[f64; 3]; 3] {
                std::array::from_fn(|i| std::array::from_fn(|j| (0..3).map(|k| a[i][k] * b[k][j]).sum()))
            };
            let transposed = std::array::from_fn(|i| std::array::from_fn(|j| r[j][i]));
            times(times(r, m), transposed)
        };
        let m = [[7.0, 0.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 1.0]];
        let m = turn(m, [[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]]);
        let m = turn(m, [[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]]);
        for (got, want) in eigenvalues(m).into_iter().zip([7.0, 3.0, 1.0]) {
            assert!((got - want).abs() < 1e-12, "{got} {want}");
        }
    }
}
