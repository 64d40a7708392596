//! Operations that wait for what the whole image says of its stains.

use super::macenko::{self, Macenko};
use super::reinhard::{Reinhard, Spread};
use std::any::Any;
use std::sync::Arc;
use voxtile_sched::contract::{Footprint, Global, Kernels, Op, Pass, Refused, Resolved, Statistic};
use voxtile_sched::model::{Axis, Dtype, Meta, Region, Shape, Tile, TileMut};

/// What an operation must know.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Needs {
    Macenko(Macenko),
    Reinhard(Reinhard),
}

/// What was found.
pub(crate) enum Found {
    Stains(macenko::Found),
    Spread(Spread),
}

/// The operation that follows from what was found.
pub(crate) type Then = Box<dyn Fn(&Found) -> Arc<dyn Op> + Send + Sync>;

/// An operation that waits for it. `output` and `reads` are those of the operation that follows.
pub(crate) struct Waiting {
    pub(crate) name: &'static str,
    pub(crate) needs: Needs,
    pub(crate) output: fn(&Meta) -> Result<Meta, Refused>,
    pub(crate) reads: fn(&Region) -> Region,
    pub(crate) then: Then,
    /// A family of kernels of the operation that follows, and the sizes of what it is given: all that a plan asks for.
    pub(crate) kernels: fn(Dtype) -> Kernels,
}

impl Op for Waiting {
    fn name(&self) -> &'static str {
        self.name
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        (self.output)(&inputs[0])
    }

    fn footprint(&self, _input: usize) -> Footprint {
        Footprint::Mapped { padded: false }
    }

    fn reads(&self, _input: usize, out: &Region, _image: &Shape) -> Region {
        (self.reads)(out)
    }

    fn ns_per_voxel(&self) -> f64 {
        4.0
    }

    fn pass(&self) -> Pass<'_> {
        Pass::Global(self)
    }

    fn cpu(&self, _inputs: &[Tile<'_>], _output: TileMut<'_>, _scratch: &mut [u8]) {
        unreachable!("placed when it runs")
    }

    fn kernels(&self, inputs: &[Dtype], _output: Dtype, _shape: &Shape) -> Option<Kernels> {
        Some((self.kernels)(inputs[0]))
    }
}

impl Global for Waiting {
    fn spans(&self) -> Option<Axis> {
        Some(Axis::C)
    }

    fn start(&self) -> Box<dyn Statistic> {
        match self.needs {
            Needs::Macenko(macenko) => macenko.start(),
            Needs::Reinhard(reinhard) => reinhard.start(),
        }
    }

    fn bytes(&self) -> u64 {
        match self.needs {
            Needs::Macenko(_) => Macenko::bytes(),
            Needs::Reinhard(_) => 1 << 10,
        }
    }

    fn passes(&self, _input: usize) -> usize {
        match self.needs {
            Needs::Macenko(macenko) => macenko.passes(),
            Needs::Reinhard(_) => 1,
        }
    }

    fn resolve(&self, statistic: Box<dyn Statistic>) -> Result<Resolved, Refused> {
        let found = match self.needs {
            Needs::Macenko(macenko) => match macenko.next(statistic)? {
                macenko::Next::Again(next) => return Ok(Resolved::Again(next)),
                macenko::Next::Found(found) => Found::Stains(found),
            },
            Needs::Reinhard(_) => Found::Spread(Reinhard::found(statistic)?),
        };
        Ok(Resolved::Found(Arc::new(found)))
    }

    fn shared(&self) -> Option<String> {
        Some(format!("{:?}", self.needs))
    }

    fn local(&self, found: &(dyn Any + Send + Sync)) -> Arc<dyn Op> {
        (self.then)(found.downcast_ref().expect("what a shared statistic resolves to"))
    }
}
