//! The operations of voxtile.
//!
//! [`ops::TABLE`] lists them; each lives in one file under `ops/` with its contract, its CPU kernel, its naive oracle
//! and its tests. [`spec`] describes parameters, so that the command line, its help, the documentation and the
//! benches are made from the table. [`statistics`] finds exact percentiles of an image that is seen in parts. [`testing`] is
//! the harness that every operation passes.

mod affine;
mod along;
mod blocks;
mod choice;
mod components;
mod conv;
pub mod cpu;
mod cut;
pub mod device;
mod digest;
mod formula;
mod functions;
mod math;
mod maxima;
mod moved;
mod objects;
pub mod ops;
mod own;
mod pack;
mod peaks;
mod pointwise;
mod rank;
mod sampling;
mod simd;
mod smooth;
pub mod spec;
mod stains;
pub mod statistics;
pub mod testing;
mod totals;
