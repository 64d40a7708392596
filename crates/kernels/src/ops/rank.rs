//! The value of given rank in a window.
//!
//! Every sample type, which is kept; acts on the space axes. The values of the window are counted from 0, the smallest,
//! and negative ranks from −1, the largest, down, as in `scipy.ndimage.rank_filter`, which the result is equal to. Cost,
//! NaN and −0 as in `median`; the ends are `min` and `max`.

use crate::rank::{FOOTPRINT, RADIUS, Ranked, SHAPE, SIZE};
use crate::spec::{ArgError, Args, BORDER, Build, CVAL, Number, Param, Spec, Value};

use std::sync::Arc;
use voxtile_sched::contract::Op;

/// The operation.
pub(crate) static SPEC: Spec = Spec {
    name: "rank",
    about: "Value of given rank in a window",
    params: &[
        Param {
            name: "rank",
            value: Value::Number,
            default: None,
            about: "which of the sorted values, from 0, the smallest; -1 is the largest",
        },
        SIZE,
        SHAPE,
        RADIUS,
        FOOTPRINT,
        BORDER,
        CVAL,
    ],
    inputs: 1,
    example: "rank 2 size=3",
    build: Build::One(build),
};

fn build(args: &Args<'_>) -> Result<Arc<dyn Op>, ArgError> {
    let rank = args.exact("rank")?;
    Ranked::of(SPEC.name, args, |count| {
        let from_below = match rank {
            Number::Whole(rank) if rank < 0 => rank.checked_add(count as i128),
            Number::Whole(rank) => Some(rank),
            Number::Real(_) => None,
        };
        let place = from_below.and_then(|rank| usize::try_from(rank).ok()).filter(|&rank| rank < count);
        let text = args.text("rank").unwrap_or_default();
        place.ok_or_else(|| {
            args.wrong("rank", text, format!("one of the window's {count} values, from 0 or from -1"))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conforms;
    use crate::rank::Origin;
    use crate::rank::testing::{Rank, drawn, oracle, oracle_over};
    use crate::testing::{Image, meta, stages};
    use voxtile_sched::model::{Border, Dtype};

    /// All values of the box, sorted; the one of that rank.
    fn naive(image: &Image, size: [u64; 3], rank: usize) -> Image {
        oracle(image, size, Origin::Centre, Border::Reflect, Rank::At(rank))
    }

    conforms!(second: &SPEC, "rank 1 size=1,1,3", |i| naive(i, [1, 1, 3], 1), only(|m| m.axes.space().len() == 3));
    conforms!(from_above: &SPEC, "rank -2 size=4", |i| naive(i, [1, 4, 4], 14), only(|m| m.axes.space().len() == 2));
    conforms!(
        of_a_drawing: &SPEC, "rank 4 footprint=0110/1111/0001 border=nearest",
        |i| oracle_over(i, [0, 1, 2], &drawn(false), Border::Nearest, Rank::At(4)),
        only(|meta| meta.axes.space().len() > 1)
    );

    #[test]
    fn ranks_that_no_value_has_are_refused() {
        let image = [meta("yx", &[9, 9], Dtype::U8)];
        let refused = |step| stages(&SPEC, step, &image).map(|_| ()).unwrap_err().to_string();
        assert_eq!(
            refused("rank 9 size=3"),
            "`rank`: `rank=9` is not one of the window's 9 values, from 0 or from -1"
        );
        assert!(refused("rank -10 size=3").starts_with("`rank`: `rank=-10` is not"));
        assert!(refused("rank 1.5 size=3").starts_with("`rank`: `rank=1.5` is not"));
        assert!(stages(&SPEC, "rank -9 size=3", &image).is_ok());
    }
}
