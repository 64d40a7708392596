//! The engine against the naive way: whole images in memory, toy operations, every tiling the same bits.

mod device;
mod faults;
mod globals;
mod levels;
mod passes;
mod random;
mod resume;
mod stores;
mod toys;
