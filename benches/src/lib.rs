//! What `ternrt-bench` and the criterion benches share: statistics over
//! timings, the profile of a model's ops, and the layer shapes of real networks.

pub mod profile;
pub mod shapes;
pub mod stats;
