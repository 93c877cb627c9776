//! What `ternrt-bench` and the criterion benches share: measuring a model and
//! its ops, single layers with random operands, the machine's ceilings, and the
//! layer shapes of real networks.

pub mod ceiling;
pub mod layers;
pub mod matvec;
pub mod model;
pub mod product;
pub mod profile;
pub mod scaling;
pub mod shapes;
pub mod stats;
pub mod sweep;
