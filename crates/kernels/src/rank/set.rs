//! Sets of voxels around a centre, as runs along x: balls, crosses, diamonds, and what a user draws.

use std::collections::BTreeMap;

/// Voxels side by side along x, from `x` on; places are distances from the centre.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Run {
    pub(crate) z: i64,
    pub(crate) y: i64,
    pub(crate) x: i64,
    pub(crate) len: i64,
}

/// A set of voxels, not empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Set {
    /// In row-major order, with a gap between runs of one row.
    runs: Vec<Run>,
}

impl Set {
    /// The voxels of `contains` that are at most `reach` away along `z, y, x`; the centre is one of them.
    pub(crate) fn symmetric(reach: [i64; 3], contains: impl Fn([i64; 3]) -> bool) -> Self {
        let [rz, ry, rx] = reach;
        let mut runs = Vec::new();
        for z in -rz..=rz {
            for y in -ry..=ry {
                let row = (-rx..=rx).filter(|&x| contains([z, y, x]));
                runs.extend(row.map(|x| Run { z, y, x, len: 1 }));
            }
        }
        Self::joined(runs)
    }

    /// The union of runs.
    pub(crate) fn joined(mut runs: Vec<Run>) -> Self {
        runs.sort_unstable();
        runs.dedup_by(|next, run| {
            let joins = (next.z, next.y) == (run.z, run.y) && next.x <= run.x + run.len;
            if joins {
                run.len = run.len.max(next.x + next.len - run.x);
            }
            joins
        });
        Self { runs }
    }

    /// Its runs, in row-major order.
    pub(crate) fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// Voxels in it.
    pub(crate) fn count(&self) -> usize {
        self.runs.iter().map(|r| r.len as usize).sum()
    }

    /// The first and the last place along `z, y, x`.
    fn ends(&self) -> [(i64, i64); 3] {
        let ends = |of: fn(&Run) -> (i64, i64)| {
            let places = self.runs.iter().map(of);
            places.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))).unwrap_or((0, 0))
        };
        [ends(|r| (r.z, r.z)), ends(|r| (r.y, r.y)), ends(|r| (r.x, r.x + r.len - 1))]
    }

    /// How far it reaches before and after the centre along `z, y, x`.
    pub(crate) fn reach(&self) -> ([u64; 3], [u64; 3]) {
        let ends = self.ends();
        (ends.map(|e| (-e.0).max(0) as u64), ends.map(|e| e.1.max(0) as u64))
    }

    /// Whether it is all of the box that [`reach`](Self::reach) spans.
    pub(crate) fn is_box(&self) -> bool {
        let (lo, hi) = self.reach();
        let sizes = std::array::from_fn::<_, 3, _>(|a| lo[a] + hi[a] + 1);
        sizes.iter().map(|&n| u128::from(n)).product::<u128>() == self.count() as u128
    }

    /// Every voxel on the other side of the centre.
    pub(crate) fn reflected(&self) -> Self {
        let other = |r: &Run| Run { z: -r.z, y: -r.y, x: 1 - r.x - r.len, len: r.len };
        Self::joined(self.runs.iter().map(other).collect())
    }

    /// All sums of a voxel of one set and a voxel of the other.
    pub(crate) fn sum(&self, other: &Self) -> Self {
        let mut runs = Vec::with_capacity(self.runs.len() * other.runs.len());
        for a in &self.runs {
            runs.extend(other.runs.iter().map(|b| Run {
                z: a.z + b.z,
                y: a.y + b.y,
                x: a.x + b.x,
                len: a.len + b.len - 1,
            }));
        }
        Self::joined(runs)
    }

    /// Whether it holds, with every voxel, its mirror images along the axes and all that are nearer to the centre along
    /// each axis.
    pub(crate) fn is_solid(&self) -> bool {
        let rows: BTreeMap<(i64, i64), &Run> = self.runs.iter().map(|r| ((r.z, r.y), r)).collect();
        let holds = |z: i64, y: i64, len: i64| rows.get(&(z, y)).is_some_and(|r| r.len >= len);
        rows.len() == self.runs.len()
            && self.runs.iter().all(|&Run { z, y, x, len }| {
                let nearer = |n: i64| n - n.signum();
                2 * x == 1 - len
                    && [(-z, y), (z, -y), (nearer(z), y), (z, nearer(y))]
                        .iter()
                        .all(|&(z, y)| holds(z, y, len))
            })
    }
}

/// A set as a text draws it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Drawing {
    /// Distances from the centre along plane, row and column.
    voxels: Vec<[i64; 3]>,
    /// How many axes it has.
    axes: usize,
}

impl Drawing {
    /// From rows of 0 and 1 with `/` between rows and `//` between planes: `010/111/010`. Voxel `n / 2` of the `n`
    /// along each axis is the centre. `None`, if the text is something else or without a 1.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let planes: Vec<Vec<&str>> = text.split("//").map(|plane| plane.split('/').collect()).collect();
        let (nz, ny, nx) = (planes.len(), planes[0].len(), planes[0][0].len());
        let row = |row: &&str| row.len() == nx && row.bytes().all(|b| b == b'0' || b == b'1');
        if nx == 0 || !planes.iter().all(|plane| plane.len() == ny && plane.iter().all(row)) {
            return None;
        }
        let from_centre = |i: usize, n: usize| i as i64 - (n / 2) as i64;
        let mut voxels = Vec::new();
        for (z, plane) in planes.iter().enumerate() {
            for (y, row) in plane.iter().enumerate() {
                let ones = row.bytes().enumerate().filter(|&(_, b)| b == b'1');
                voxels
                    .extend(ones.map(|(x, _)| [from_centre(z, nz), from_centre(y, ny), from_centre(x, nx)]));
            }
        }
        let axes = if nz > 1 { 3 } else { 1 + usize::from(ny > 1) };
        (!voxels.is_empty()).then_some(Self { voxels, axes })
    }

    /// Laid along the last of some of the axes `z, y, x`, if they are enough.
    pub(crate) fn along(&self, axes: &[usize]) -> Option<Set> {
        let onto = &axes[axes.len().checked_sub(self.axes)?..];
        let run = |voxel: &[i64; 3]| {
            let mut at = [0; 3];
            onto.iter().zip(&voxel[3 - self.axes..]).for_each(|(&a, &place)| at[a] = place);
            Run { z: at[0], y: at[1], x: at[2], len: 1 }
        };
        Some(Set::joined(self.voxels.iter().map(run).collect()))
    }
}

/// The distances `d` with `Σ (d / radius)² ≤ 1`: a ball, or an ellipsoid with its axes along those of the image.
pub(crate) fn ball(radius: [f64; 3]) -> Set {
    let (weights, level) = multiplied_out(radius, |r| r * r);
    Set::symmetric(reach(radius), |d| terms(d.map(|d| (d * d) as f64), weights) <= level)
}

/// The distances `d` with `Σ |d / radius| ≤ 1`: as many steps along the axes as the radius counts.
pub(crate) fn diamond(radius: [f64; 3]) -> Set {
    let (weights, level) = multiplied_out(radius, |r| r);
    Set::symmetric(reach(radius), |d| terms(d.map(|d| d.abs() as f64), weights) <= level)
}

/// What lies straight along one axis.
pub(crate) fn cross(radius: [f64; 3]) -> Set {
    Set::symmetric(reach(radius), |d| d.iter().filter(|&&d| d != 0).count() <= 1)
}

fn reach(radius: [f64; 3]) -> [i64; 3] {
    radius.map(|r| r as i64)
}

fn terms(d: [f64; 3], weights: [f64; 3]) -> f64 {
    (0..3).map(|a| d[a] * weights[a]).sum()
}

/// Factors and the bound of a sum of quotients, without division, so that whole radii are compared exactly. Along an
/// axis that is not reached the distance is 0, whatever its factor.
fn multiplied_out(radius: [f64; 3], of: fn(f64) -> f64) -> ([f64; 3], f64) {
    let mut reaching = radius.into_iter().filter(|&r| r >= 1.0);
    let first = reaching.next().unwrap_or(1.0);
    if reaching.all(|r| r == first) {
        return ([1.0; 3], of(first));
    }
    let factors = radius.map(|r| of(r.max(1.0)));
    let product: f64 = factors.iter().product();
    (std::array::from_fn(|a| (0..3).filter(|&b| b != a).map(|b| factors[b]).product()), product)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(set: &Set) -> String {
        let ends = set.ends();
        let holds = |z, y, x| set.runs.iter().any(|r| (r.z, r.y) == (z, y) && r.x <= x && x < r.x + r.len);
        let row = |z, y| (ends[2].0..=ends[2].1).map(|x| if holds(z, y, x) { '1' } else { '0' }).collect();
        let plane = |z| (ends[1].0..=ends[1].1).map(|y| row(z, y)).collect::<Vec<String>>().join("/");
        (ends[0].0..=ends[0].1).map(plane).collect::<Vec<_>>().join("//")
    }

    #[test]
    fn shapes_are_those_that_their_names_say() {
        // skimage.morphology.disk(3), ball(1), diamond(2).
        assert_eq!(drawn(&ball([0.0, 3.0, 3.0])), "0001000/0111110/0111110/1111111/0111110/0111110/0001000");
        assert_eq!(drawn(&ball([1.0; 3])), "000/010/000//010/111/010//000/010/000");
        assert_eq!(drawn(&diamond([0.0, 2.0, 2.0])), "00100/01110/11111/01110/00100");
        // Two voxels apart along two axes is 2.83; scipy's generate_binary_structure(3, 2) is a ball of 1.5.
        assert_eq!(drawn(&ball([1.5; 3])), "010/111/010//111/111/111//010/111/010");
        assert_eq!(drawn(&ball([0.0, 1.0, 3.0])), "0001000/1111111/0001000");
        assert_eq!(drawn(&ball([0.0, 2.0, 4.0])), "000010000/011111110/111111111/011111110/000010000");
        assert_eq!(drawn(&cross([0.0, 1.0, 2.0])), "00100/11111/00100");
        // skimage.morphology.ball(7) has 1419 voxels.
        assert_eq!(ball([7.0; 3]).count(), 1419);
    }

    fn set(text: &str) -> Set {
        Drawing::parse(text).and_then(|d| d.along(&[0, 1, 2])).expect(text)
    }

    #[test]
    fn drawings_are_read_and_others_refused() {
        for text in ["0110/1111/0001", "11//01", "1"] {
            assert_eq!(drawn(&set(text)), text);
        }
        assert_eq!(set("0010").reach(), ([0; 3], [0; 3]));
        assert_eq!(set("0001").reach(), ([0; 3], [0, 0, 1]));
        let plane = Drawing::parse("011/110").expect("two rows");
        assert_eq!(plane.along(&[0, 2]).map(|set| drawn(&set)), Some("011//110".to_owned()));
        assert_eq!(plane.along(&[2]), None);
        for text in ["", "0", "00/00", "12", "11/1", "11//1", "1/", "11//11/11"] {
            assert_eq!(Drawing::parse(text), None, "{text}");
        }
    }

    #[test]
    fn sums_of_solid_sets_are_larger_ones_of_their_kind() {
        let one = diamond([1.0; 3]);
        assert_eq!(one.sum(&one).sum(&one), diamond([3.0; 3]));
        assert_eq!(drawn(&set("11").sum(&one)), "0000/0110/0000//0110/1111/0110//0000/0110/0000");
        for solid in [ball([3.0; 3]), ball([0.0, 2.0, 4.0]), cross([0.0, 1.0, 3.0]), one.sum(&ball([2.0; 3]))]
        {
            assert!(solid.is_solid(), "{}", drawn(&solid));
        }
        for text in ["11", "101", "1/0/1", "110/111/011", "1//1"] {
            assert!(!set(text).is_solid(), "{text}");
        }
        let lopsided = set("100/110/001");
        assert_eq!(drawn(&lopsided.reflected()), "100/011/001");
    }
}
