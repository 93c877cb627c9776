//! A look at every op while it runs, for profilers and for comparing
//! intermediate values. A session that runs without one pays nothing for it.

use crate::Error;
use crate::arena;
use crate::format::tensor::{Place, Tensor};
use crate::model::OpStep;

/// Is told about every op that runs.
pub trait Trace {
    /// Op `step` is about to run.
    fn before(&mut self, step: &OpStep<'_>) {
        let _ = step;
    }

    /// Op `step` has run; `memory` is the state behind it.
    fn after(&mut self, step: &OpStep<'_>, memory: &Memory<'_>) {
        let _ = (step, memory);
    }
}

/// Nobody is told.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTrace;

impl Trace for NoTrace {}

/// The values of tensors between two ops. A tensor in the arena has its value
/// from the op that computes it until the last one that reads it; at other
/// times its place belongs to others.
#[derive(Clone, Copy, Debug)]
pub struct Memory<'a> {
    pub(crate) arena: &'a [u8],
    pub(crate) data: &'a [u8],
}

impl<'a> Memory<'a> {
    /// A tensor's bytes.
    ///
    /// # Errors
    /// [`Error::Bounds`] for a tensor of another model.
    pub fn bytes(&self, tensor: &Tensor) -> Result<&'a [u8], Error> {
        match tensor.place {
            Place::Data => arena::constant(self.data, tensor),
            Place::Arena => arena::range(tensor)
                .and_then(|r| self.arena.get(r))
                .ok_or(Error::Bounds),
        }
    }
}
