//! Tests of `check`: of every op a case that passes, and for every condition a
//! change of that case that is refused.

mod movement;
mod pointwise;
mod products;
mod windows;

use super::{Op, Operands};
use crate::Error;
use crate::format::NONE;
use crate::format::tensor::{Place, Tensor};
use std::vec::Vec;
use tern_kernels::{Codec, DType, MAX_RANK, Matrix};

/// A tensor and the one that holds its scales.
#[derive(Clone, Copy, Debug)]
struct Slot {
    tensor: Tensor,
    scale: Option<Tensor>,
}

/// One op with its operands.
#[derive(Clone, Debug)]
struct Case {
    op: Op,
    inputs: Vec<Option<Slot>>,
    outputs: Vec<Option<Slot>>,
}

/// A tensor in the arena.
fn tensor(dtype: DType, dims: &[u32]) -> Tensor {
    let mut all = [1; MAX_RANK];
    all[..dims.len()].copy_from_slice(dims);
    let mut t = Tensor {
        place: Place::Arena,
        dtype,
        codec: Codec::Plain,
        rank: dims.len() as u8,
        dims: all,
        offset: 0,
        len: 0,
        scale: NONE,
        qmax: 0,
        non_negative: false,
        name_offset: 0,
        name_len: 0,
    };
    t.len = t.elements() as u64 * dtype.size() as u64;
    t
}

/// A tensor in the arena that is not quantised.
fn plain(dtype: DType, dims: &[u32]) -> Slot {
    Slot {
        tensor: tensor(dtype, dims),
        scale: None,
    }
}

/// As `plain`, of f32.
fn f32(dims: &[u32]) -> Slot {
    plain(DType::F32, dims)
}

/// A quantised tensor with a constant scale; all have the same scale tensor.
fn quantised(dtype: DType, dims: &[u32]) -> Slot {
    let qmax = if dtype == DType::I8 { 127 } else { 32767 };
    let scale = Tensor {
        place: Place::Data,
        ..tensor(DType::F32, &[1])
    };
    Slot {
        tensor: Tensor {
            qmax,
            scale: 0,
            ..tensor(dtype, dims)
        },
        scale: Some(scale),
    }
}

/// Packed weights with scales where the codec is ternary.
fn weights(codec: Codec, dims: &[u32], matrix: Matrix) -> Slot {
    let mut w = Tensor {
        place: Place::Data,
        codec,
        ..tensor(DType::F32, dims)
    };
    w.len = codec.packed_len(&matrix).unwrap() as u64;
    let scale = Tensor {
        place: Place::Data,
        ..tensor(DType::F32, &[(matrix.groups * matrix.outputs) as u32])
    };
    Slot {
        tensor: w,
        scale: codec.is_ternary().then_some(scale),
    }
}

impl Slot {
    /// Changes dimensions, rank and length.
    fn set_dims(&mut self, dims: &[u32]) {
        let t = tensor(self.tensor.dtype, dims);
        self.tensor = Tensor {
            rank: t.rank,
            dims: t.dims,
            len: t.len,
            ..self.tensor
        };
    }

    /// Changes the element type and the length.
    fn set_dtype(&mut self, dtype: DType) {
        self.tensor.dtype = dtype;
        self.tensor.len = self.tensor.elements() as u64 * dtype.size() as u64;
    }

    /// The scale tensor.
    fn scale(&mut self) -> &mut Tensor {
        self.scale.as_mut().unwrap()
    }
}

impl Case {
    fn new(op: impl Into<Op>, inputs: &[Slot], output: Slot) -> Case {
        let inputs = inputs.iter().copied().map(Some).collect();
        Case {
            op: op.into(),
            inputs,
            outputs: Vec::from([Some(output)]),
        }
    }

    /// Operand `i`.
    fn x(&mut self, i: usize) -> &mut Slot {
        self.inputs[i].as_mut().unwrap()
    }

    /// Result 0.
    fn y(&mut self) -> &mut Slot {
        self.outputs[0].as_mut().unwrap()
    }

    fn operands(&self) -> Operands<'static> {
        let pair = |s: &Option<Slot>| s.map(|s| (s.tensor, s.scale));
        let [inputs, outputs] =
            [&self.inputs, &self.outputs].map(|l| l.iter().map(pair).collect::<Vec<_>>());
        Operands::new(&inputs, &outputs).unwrap()
    }

    #[track_caller]
    fn passes(&self) -> &Case {
        assert_eq!(self.op.check(&self.operands()), Ok(()), "{self:?}");
        self
    }

    /// The changed case passes as well.
    #[track_caller]
    fn accepts(&self, change: impl FnOnce(&mut Case)) -> &Case {
        let mut changed = self.clone();
        change(&mut changed);
        changed.passes();
        self
    }

    /// The changed case is refused.
    #[track_caller]
    fn refuses(&self, change: impl FnOnce(&mut Case)) -> &Case {
        let mut changed = self.clone();
        change(&mut changed);
        assert_eq!(
            changed.op.check(&changed.operands()),
            Err(Error::BadOp),
            "{changed:?}"
        );
        self
    }

    /// What holds of every plain operand and result, each in turn: it is there,
    /// it is plain, no dimension is 0, and quantised numbers have what they need.
    #[track_caller]
    fn refuses_common_faults(&self, plain_inputs: &[usize]) -> &Case {
        for &i in plain_inputs {
            self.refuses(|c| c.inputs[i] = None);
        }
        let slots = plain_inputs.iter().map(|&i| Some(i)).chain([None]);
        for slot in slots {
            let at = |c: &mut Case| match slot {
                Some(i) => c.inputs[i].unwrap(),
                None => c.outputs[0].unwrap(),
            };
            let put = |c: &mut Case, s: Slot| match slot {
                Some(i) => c.inputs[i] = Some(s),
                None => c.outputs[0] = Some(s),
            };
            let change = |f: &dyn Fn(&mut Slot)| {
                self.refuses(|c| {
                    let mut s = at(c);
                    f(&mut s);
                    put(c, s);
                });
            };
            change(&|s| s.tensor.codec = Codec::T2);
            change(&|s| s.tensor.dims[0] = 0);
            change(&|s| s.tensor.qmax = 90000);
            change(&|s| {
                s.scale = if s.scale.is_some() {
                    None
                } else {
                    Some(tensor(DType::F32, &[1]))
                }
            });
            if at(&mut self.clone()).scale.is_some() {
                change(&|s| s.tensor.qmax = 0);
                change(&|s| s.set_dtype(DType::F32));
                change(&|s| s.scale = Some(tensor(DType::F32, &[2])));
                change(&|s| s.scale = Some(tensor(DType::I32, &[1])));
                change(&|s| s.scale().codec = Codec::T2);
            }
        }
        self.refuses(|c| c.outputs[0] = None)
    }
}

/// The numbers of `op`'s scratch and multiply-accumulates must come without
/// panic even from operands that `check` refuses.
#[test]
fn nothing_panics_without_operands() {
    for row in super::table::TABLE {
        for fill in [0, 1, 0xff] {
            let of_len = |len| Op::decode(row.code, &[fill; 64][..len]).ok();
            let Some(op) = (0..=64).find_map(of_len) else {
                continue;
            };
            let case = Case {
                op,
                inputs: Vec::new(),
                outputs: Vec::new(),
            };
            assert_eq!(
                op.check(&case.operands()),
                Err(Error::BadOp),
                "{}",
                row.name
            );
            assert_eq!(
                op.scratch(&case.operands(), tern_kernels::Caps::SCALAR, 1),
                0
            );
            assert_eq!(op.macs(&case.operands()), 0);
        }
    }
}
