//! Samples on another grid of the same extent.

/// Mean of what each pixel of the new grid covers; rows first. A sample that is not a number spreads to what covers it.
pub(crate) fn area(samples: &[f32], from: [usize; 2], to: [usize; 2]) -> Vec<f32> {
    if from == to {
        return samples.to_vec();
    }
    let [(rows, columns), (height, width)] = [(from[0], from[1]), (to[0], to[1])];
    let across = covers(columns, width);
    let narrow: Vec<f64> = (0..rows)
        .flat_map(|y| {
            let row = &samples[y * columns..][..columns];
            across.iter().map(move |cover| cover.mean(|n| f64::from(row[n])))
        })
        .collect();
    let down = covers(rows, height);
    down.iter().flat_map(|cover| (0..width).map(|x| cover.mean(|n| narrow[n * width + x]) as f32)).collect()
}

/// The sample in the middle of each pixel of the new grid, for what has no mean.
pub(crate) fn nearest(samples: &[u64], from: [usize; 2], to: [usize; 2]) -> Vec<u64> {
    let at = |n: usize, a: usize| ((2 * n + 1) * from[a] / (2 * to[a])).min(from[a] - 1);
    (0..to[0]).flat_map(|y| (0..to[1]).map(move |x| samples[at(y, 0) * from[1] + at(x, 1)])).collect()
}

/// The samples that a pixel covers: whole ones, and parts at its ends.
struct Cover {
    first: usize,
    weights: Vec<f64>,
}

impl Cover {
    fn mean(&self, sample: impl Fn(usize) -> f64) -> f64 {
        let sum: f64 =
            self.weights.iter().enumerate().map(|(n, weight)| weight * sample(self.first + n)).sum();
        sum / self.weights.iter().sum::<f64>()
    }
}

fn covers(from: usize, to: usize) -> Vec<Cover> {
    // In units of 1/to of a sample, so that ends are whole numbers.
    let cover = |n: usize| {
        let (start, end) = (n * from, (n + 1) * from);
        let (first, last) = (start / to, end.div_ceil(to).min(from));
        let weight = |k: usize| (end.min((k + 1) * to) - start.max(k * to)) as f64;
        Cover { first, weights: (first..last).map(weight).collect() }
    };
    (0..to).map(cover).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_are_means_of_what_they_cover() {
        let samples = [1.0, 2.0, 6.0, 3.0, 4.0, 8.0];
        assert_eq!(area(&samples, [2, 3], [2, 3]), samples);
        assert_eq!(area(&samples, [2, 3], [1, 1]), [4.0]);
        // Three samples over two pixels: one and a half each.
        assert_eq!(area(&samples[..3], [1, 3], [1, 2]), [(1.0 + 0.5 * 2.0) / 1.5, (0.5 * 2.0 + 6.0) / 1.5]);
        assert_eq!(area(&samples[..2], [1, 2], [2, 4]), [1.0, 1.0, 2.0, 2.0, 1.0, 1.0, 2.0, 2.0]);
    }

    #[test]
    fn numbers_of_objects_are_never_mixed() {
        assert_eq!(nearest(&[1, 2, 3], [1, 3], [1, 2]), [1, 3]);
        assert_eq!(nearest(&[7, 9], [2, 1], [4, 1]), [7, 7, 9, 9]);
    }
}
