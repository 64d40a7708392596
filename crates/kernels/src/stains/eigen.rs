//! Directions in which points of space lie farthest.

use super::Matrix;

/// Unit eigenvectors of a symmetric matrix with their eigenvalues, the largest first, by Jacobi's rotations. Of each vector
/// the sum is not negative.
pub(super) fn eigenvectors(symmetric: &Matrix) -> [(f64, [f64; 3]); 3] {
    /// Rounds of rotations. Each squares what is left beside the diagonal; a few suffice.
    const ROUNDS: usize = 12;
    let (mut m, mut columns) = (*symmetric, [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]);
    for _ in 0..ROUNDS {
        for (p, q) in [(0, 1), (0, 2), (1, 2)] {
            if m[p][q] == 0.0 {
                continue;
            }
            let slope = (m[q][q] - m[p][p]) / (2.0 * m[p][q]);
            let tan = 1f64.copysign(slope) / (slope.abs() + (slope * slope + 1.0).sqrt());
            let cos = 1.0 / (tan * tan + 1.0).sqrt();
            let sin = tan * cos;
            let turned = |a: f64, b: f64| (a * cos - b * sin, a * sin + b * cos);
            for row in &mut m {
                (row[p], row[q]) = turned(row[p], row[q]);
            }
            for k in 0..3 {
                (m[p][k], m[q][k]) = turned(m[p][k], m[q][k]);
                (columns[k][p], columns[k][q]) = turned(columns[k][p], columns[k][q]);
            }
        }
    }
    let mut pairs = [0, 1, 2].map(|k: usize| {
        let vector = columns.map(|row| row[k]);
        let sign = 1f64.copysign(vector.iter().sum());
        (m[k][k], vector.map(|v| v * sign))
    });
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stains::dot;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_matrix_stretches_its_eigenvectors(v in proptest::array::uniform6(-5f64..5.0)) {
            let m = [[v[0], v[1], v[2]], [v[1], v[3], v[4]], [v[2], v[4], v[5]]];
            let pairs = eigenvectors(&m);
            for (i, (value, vector)) in pairs.iter().enumerate() {
                for (row, part) in m.iter().zip(vector) {
                    prop_assert!((dot(*row, *vector) - value * part).abs() < 1e-13, "{m:?}: {pairs:?}");
                }
                for (j, (_, other)) in pairs.iter().enumerate() {
                    let want = f64::from(u8::from(i == j));
                    prop_assert!((dot(*vector, *other) - want).abs() < 1e-13, "{m:?}: {pairs:?}");
                }
            }
            prop_assert!(pairs[0].0 >= pairs[1].0 && pairs[1].0 >= pairs[2].0);
        }
    }
}
