//! What `ternrt-bench` and the criterion benches share: statistics over
//! timings, the machine's ceilings, the profile of a model's ops, and the layer
//! shapes of real networks.

pub mod ceiling;
pub mod profile;
pub mod shapes;
pub mod stats;
