//! The operations of voxtile.
//!
//! [`ops::TABLE`] lists them; each lives in one file under `ops/` with its contract, its CPU kernel, its naive oracle
//! and its tests. [`spec`] describes parameters, so that the command line, its help, the documentation and the
//! benches are made from the table. [`testing`] is the harness that every operation passes.

mod affine;
mod along;
mod blocks;
mod choice;
mod conv;
pub mod cpu;
mod cut;
mod formula;
mod functions;
mod histogram;
mod math;
mod moved;
pub mod ops;
mod pointwise;
mod rank;
mod sampling;
mod simd;
pub mod spec;
pub mod testing;
mod totals;
