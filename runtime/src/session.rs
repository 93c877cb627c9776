//! A model with the memory that it runs in.

use crate::Error;
use crate::arena;
use crate::format::tensor::{Place, Tensor};
use crate::model::Model;
use crate::ops::Exec;
use crate::trace::{Memory, NoTrace, Trace};
use core::fmt;
use tern_kernels::{Caps, DType, ParallelFor, Serial};

/// How a session runs.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// Instruction sets that kernels may use.
    pub caps: Caps,
    /// The host's threads. The arena must have the length that
    /// [`Model::arena_len_for`] says for as many.
    pub parallel: &'a dyn ParallelFor,
}

impl Default for Options<'_> {
    /// All that this CPU has, on the calling thread alone.
    fn default() -> Self {
        Options {
            caps: Caps::detect(),
            parallel: &Serial,
        }
    }
}

impl fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("caps", &self.caps)
            .field("threads", &self.parallel.threads())
            .finish()
    }
}

/// Runs a model in an arena that the caller owns.
///
/// Inputs and outputs lie in the arena, in places that the compiler planned:
/// running an entry point may write over its inputs, and a later run over the
/// outputs of an earlier one. So for every run: write all inputs, run, read
/// the outputs. Nothing is allocated, and what the arena held before a run, the
/// inputs apart, plays no part in it.
pub struct Session<'m, 'a> {
    model: Model<'m>,
    plan: &'a mut [u8],
    scratch: &'a mut [u8],
    options: Options<'a>,
}

impl<'m, 'a> Session<'m, 'a> {
    /// A session on the calling thread, with all instruction sets of this CPU.
    ///
    /// # Errors
    /// [`Error::ArenaTooSmall`] for fewer bytes than [`Model::arena_len`].
    pub fn new(model: &Model<'m>, arena: &'a mut [u8]) -> Result<Session<'m, 'a>, Error> {
        Session::with_options(model, arena, Options::default())
    }

    /// A session with the caller's instruction sets and threads.
    ///
    /// # Errors
    /// [`Error::ArenaTooSmall`] for fewer bytes than [`Model::arena_len_for`]
    /// says for these options.
    pub fn with_options(
        model: &Model<'m>,
        arena: &'a mut [u8],
        options: Options<'a>,
    ) -> Result<Session<'m, 'a>, Error> {
        let scratch_len = model.scratch_len(options.caps, options.parallel.threads());
        let (plan, rest) = arena::aligned(arena)
            .split_at_mut_checked(model.plan_len())
            .ok_or(Error::ArenaTooSmall)?;
        let scratch = rest.get_mut(..scratch_len).ok_or(Error::ArenaTooSmall)?;
        Ok(Session {
            model: *model,
            plan,
            scratch,
            options,
        })
    }

    /// The model.
    pub fn model(&self) -> &Model<'m> {
        &self.model
    }

    fn bytes(&self, tensor: &Tensor) -> Result<&[u8], Error> {
        self.memory().bytes(tensor)
    }

    fn memory(&self) -> Memory<'_> {
        Memory {
            arena: self.plan,
            data: self.model.data(),
        }
    }

    fn bytes_mut(&mut self, tensor: &Tensor) -> Result<&mut [u8], Error> {
        match tensor.place {
            Place::Arena => arena::range(tensor)
                .and_then(|r| self.plan.get_mut(r))
                .ok_or(Error::Bounds),
            Place::Data => Err(Error::Bounds),
        }
    }

    /// The bytes of input `i` of the first entry point, to be written before each run.
    ///
    /// # Errors
    /// [`Error::NoSuchTensor`].
    pub fn input_mut(&mut self, i: usize) -> Result<&mut [u8], Error> {
        self.input_mut_of(0, i)
    }

    /// As [`input_mut`](Self::input_mut), for any entry point.
    ///
    /// # Errors
    /// [`Error::NoSuchTensor`].
    pub fn input_mut_of(&mut self, entry: usize, i: usize) -> Result<&mut [u8], Error> {
        let tensor = self.model.input_tensor(entry, i)?;
        self.bytes_mut(&tensor)
    }

    /// The elements of input `i` of the first entry point, which is f32.
    ///
    /// # Errors
    /// [`Error::NoSuchTensor`], [`Error::DTypeMismatch`].
    pub fn input_f32_mut(&mut self, i: usize) -> Result<&mut [f32], Error> {
        let tensor = self.model.input_tensor(0, i)?;
        if tensor.dtype != DType::F32 {
            return Err(Error::DTypeMismatch);
        }
        arena::elements_mut(self.bytes_mut(&tensor)?).ok_or(Error::Misaligned)
    }

    /// The bytes of output `i` of the first entry point, as the last run left them.
    ///
    /// # Errors
    /// [`Error::NoSuchTensor`].
    pub fn output(&self, i: usize) -> Result<&[u8], Error> {
        self.output_of(0, i)
    }

    /// As [`output`](Self::output), for any entry point.
    ///
    /// # Errors
    /// [`Error::NoSuchTensor`].
    pub fn output_of(&self, entry: usize, i: usize) -> Result<&[u8], Error> {
        self.bytes(&self.model.output_tensor(entry, i)?)
    }

    /// The elements of output `i` of the first entry point, which is f32.
    ///
    /// # Errors
    /// [`Error::NoSuchTensor`], [`Error::DTypeMismatch`].
    pub fn output_f32(&self, i: usize) -> Result<&[f32], Error> {
        let tensor = self.model.output_tensor(0, i)?;
        if tensor.dtype != DType::F32 {
            return Err(Error::DTypeMismatch);
        }
        arena::elements(self.bytes(&tensor)?).ok_or(Error::Misaligned)
    }

    /// The number of the first entry point's input with this name.
    ///
    /// # Errors
    /// [`Error::NoSuchTensor`].
    pub fn input_index(&self, name: &str) -> Result<usize, Error> {
        let mut inputs = self.model.inputs(0);
        inputs
            .position(|t| t.name == name)
            .ok_or(Error::NoSuchTensor)
    }

    /// The number of the first entry point's output with this name.
    ///
    /// # Errors
    /// [`Error::NoSuchTensor`].
    pub fn output_index(&self, name: &str) -> Result<usize, Error> {
        let mut outputs = self.model.outputs(0);
        outputs
            .position(|t| t.name == name)
            .ok_or(Error::NoSuchTensor)
    }

    /// Runs the first entry point.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_main(&mut self) -> Result<(), Error> {
        self.run(0)
    }

    /// Runs an entry point: computes its outputs from its inputs, which it may
    /// write over.
    ///
    /// # Errors
    /// [`Error::NoSuchTensor`] for an entry point that the model lacks,
    /// [`Error::BadValue`] where an op meets a value that it cannot work with;
    /// the outputs are then undefined, and the session can run again.
    pub fn run(&mut self, entry: usize) -> Result<(), Error> {
        self.run_traced(entry, &mut NoTrace)
    }

    /// As [`run`](Self::run), and tells `trace` about every op.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_traced(&mut self, entry: usize, trace: &mut impl Trace) -> Result<(), Error> {
        if entry >= self.model.entry_count() {
            return Err(Error::NoSuchTensor);
        }
        let mut ops = self.model.ops(entry);
        let mut next = None;
        ops.advance(&mut next)?;
        while let Some(step) = &next {
            trace.before(step);
            let mut exec = Exec::new(
                &step.operands,
                self.model.data(),
                self.plan,
                self.scratch,
                self.options.caps,
                self.options.parallel,
            )?;
            step.record.op.run(&step.operands, &mut exec)?;
            trace.after(step, &self.memory());
            ops.advance(&mut next)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Session<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("plan", &self.plan.len())
            .field("scratch", &self.scratch.len())
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
