//! Every op, run by the runtime from a file of one op, against its definition
//! computed element by element, on every level of instruction sets that this
//! machine has.

mod array;
mod hostile;
mod model;
mod movement;
mod pointwise;
mod products;
#[path = "../support/mod.rs"]
mod support;
mod windows;
