//! The tests of the whole program, in one binary: linked once.

mod api;
mod cli;
mod errors;
mod gpu;
mod hostile;
mod house;
mod labels;
mod memory;
mod reference;
mod soak;
mod tables;
mod tidy;
mod tiling;
