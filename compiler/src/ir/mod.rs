//! The intermediate representation: a graph of the runtime's ops over typed values.
//!
//! Images are NHWC and the ops are [`ternrt::ops::Op`], so lowering is a matter
//! of storage. Nodes are kept in an order in which every value is defined
//! before it is used.

pub mod graph;
pub mod tensor;
pub mod text;
pub mod verify;

pub use graph::{Def, Graph, Node, NodeId, Quant, Scale, Type, Value, ValueId};
pub use tensor::{Constant, Data, Scaled, Tensor};
pub use ternrt::ops::Op;
pub use verify::verify;
