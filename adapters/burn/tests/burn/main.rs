//! The fused layer against burn's own layers, on each CPU backend that this build has. One program, because linking burn
//! is most of the time that a test takes.

mod errors;
mod gradients;
mod layouts;
mod module;
mod support;
mod threads;
mod training;
