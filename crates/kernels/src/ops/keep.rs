//! Labels of the objects whose measurements meet a condition.
//!
//! Label image of an integer type → the same image, whose objects that do not meet the condition are 0; the others keep
//! their values. The condition is a formula over the columns of `measure`, whose names may lack the unit if it is voxels or
//! radians: `keep "area > 50 and eccentricity < 0.9"`, `keep "volume_um3 > 20"`; with `intensity=input` also `intensity_mean`
//! and the like, and of several images `intensity_mean_a`. A comparison with what is no number fails. An object is all
//! voxels of one value above 0 within one t and c, wherever they lie; values below 0 become 0. A mask is refused, as one object.
//! Cost: as `measure`, and one write. Memory besides the tiles: 400 bytes per object, and 200 more per image; disk for the
//! runs, 3 bytes each.

use crate::components::{ByValue, Choice, Key, Labelled};
use crate::formula::{Program, WIDTH};
use crate::objects::{Columns, Objects, bytes_each, outlined, scratch};
use crate::spec::{ArgError, Args, Build, Param, Spec, Stage, Value};
use std::sync::Arc;
use voxtile_sched::contract::Values;
use voxtile_sched::model::{Region, Shape, Tile};

/// `keep "area > 50"`.
pub(super) static SPEC: Spec = Spec {
    name: "keep",
    about: "labels of the objects whose measurements meet a condition",
    params: &[
        Param {
            name: "condition",
            value: Value::Condition,
            default: None,
            about: "comparisons of columns of `measure`, with and, or, not between them",
        },
        Param {
            name: "intensity",
            value: Value::Names,
            default: Some(""),
            about: "images whose values in each object the condition may name",
        },
    ],
    inputs: 1,
    example: "threshold 900 | label | keep \"area > 50 and equivalent_diameter < 20\"",
    build: Build::Chain(build),
};

fn build(args: &Args<'_>) -> Result<Vec<Stage>, ArgError> {
    let formula = args.formula("condition")?;
    let columns = Columns::new(args);
    let wrong = |why: String| args.wrong("condition", args.text("condition").unwrap_or_default(), why);
    if !formula.is_mask() {
        return Err(wrong("a condition such as area > 50".to_owned()));
    }
    let table = columns.table(&[]);
    let names: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
    let found = |name: &String| {
        let known = |full: String| names.iter().position(|n| *n == full);
        known(name.clone())
            .or_else(|| known(format!("{name}_px")))
            .or_else(|| known(format!("{name}_rad")))
            .ok_or_else(|| {
                wrong(format!("about measurements: there is no `{name}`, but {}", names.join(", ")))
            })
    };
    let properties = formula.names.iter().map(found).collect::<Result<_, _>>()?;
    let program = Program::new(&formula.tree, formula.names.len());
    let ns_per_voxel = 2.0 + columns.images() as f64;
    let choice = Arc::new(Keep { columns, properties, program });
    Ok(outlined(args, Arc::new(ByValue { name: SPEC.name, choice, ns_per_voxel })))
}

struct Keep {
    columns: Columns,
    /// Of each name in the condition, its column.
    properties: Vec<usize>,
    program: Program,
}

impl Choice for Keep {
    type Known = Objects;

    fn look(&self, _: &Labelled, inputs: &[Tile<'_>], region: &Region, _: &Shape) -> Objects {
        Objects::of(inputs, region)
    }

    fn merge(&self, known: &mut Objects, other: Objects) {
        known.merge(other);
    }

    fn bytes(&self, known: &Objects) -> u64 {
        known.len() as u64 * (bytes_each(self.columns.images()) + size_of::<(Key, u64)>() as u64)
    }

    fn scratch(&self) -> u64 {
        scratch(&self.columns)
    }

    fn choose(&self, known: Objects) -> Vec<(Key, u64)> {
        let mut scratch = vec![0.0; self.program.scratch()];
        self.program.start(&mut scratch);
        let mut chosen = Vec::new();
        for part in known.sorted().chunks(WIDTH) {
            let table = self.columns.table(part);
            for (n, &property) in self.properties.iter().enumerate() {
                let row = &mut self.program.image(&mut scratch, n)[..part.len()];
                match &table.columns[property].values {
                    Values::Whole(v) => row.iter_mut().zip(v).for_each(|(to, v)| *to = *v as f64),
                    Values::Real(v) => row.copy_from_slice(v),
                    Values::Text(_) => unreachable!("objects have numbers"),
                }
            }
            let holds = self.program.row(&mut scratch, part.len());
            let stay = part.iter().zip(holds).filter(|(_, holds)| **holds != 0.0);
            chosen.extend(stay.map(|((key, _), _)| (*key, key.2)));
        }
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::SPEC;
    use crate::conforms;
    use crate::objects::oracle::replaced;
    use crate::testing::{Image, meta, stages};
    use voxtile_sched::dispatch;
    use voxtile_sched::model::{Dtype, Element, PerAxis};

    conforms!(
        sizes_and_places: &SPEC, "keep \"area > 3 and not bbox_min_x == 0 or label == 2\"",
        |image| replaced(image, |key, voxels| {
            let stays = voxels.len() > 3 && voxels.iter().all(|v| v[4] > 0);
            if stays || key.2 == 2 { key.2 } else { 0 }
        }),
        dtypes(&[Dtype::U8, Dtype::U16, Dtype::I32]),
        only(|meta| meta.axes.contains(voxtile_sched::model::Axis::X)),
    );
    conforms!(
        bright: &SPEC, "keep \"intensity_max_a >= 100 && intensity_min_b < 50\" intensity=a,b",
        all |images| {
            let values = |image: &Image, voxels: &[PerAxis<u64>]| -> Vec<f64> {
                let value = |at: &PerAxis<u64>| dispatch!(image.meta().dtype, T => image.at::<T>(*at).to_f64());
                voxels.iter().map(value).collect()
            };
            replaced(&images[0], |key, voxels| {
                let bright = values(&images[1], voxels).into_iter().any(|v| v >= 100.0);
                let dark = values(&images[2], voxels).into_iter().any(|v| v < 50.0);
                if bright && dark { key.2 } else { 0 }
            })
        },
        dtypes(&[Dtype::U8, Dtype::U16]),
    );

    #[test]
    fn conditions_are_refused_with_the_reason() {
        let refused = |step: &str| {
            let meta = meta("yx", &[3, 3], Dtype::U16);
            stages(&SPEC, step, &[meta]).err().map(|e| e.to_string()).unwrap_or_default()
        };
        assert!(refused("keep \"area\"").ends_with("is not a condition such as area > 50"));
        let unknown = refused("keep \"volume > 3\"");
        assert!(unknown.contains("there is no `volume`, but label, area_px, bbox_min_y_px"), "{unknown}");
        assert!(refused("keep \"area > \"").contains("it ends too early"));
        assert!(refused("keep \"intensity_mean > 3\"").contains("there is no `intensity_mean`"));
    }
}
