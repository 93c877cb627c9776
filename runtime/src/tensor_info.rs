//! What a host may know of an input or output.

use crate::Model;
use crate::arena;
use crate::format::NONE;
use crate::format::tensor::{Place, Tensor};
use tern_kernels::{Codec, DType, MAX_RANK};

/// Name, type and shape of an input or output.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TensorInfo<'m> {
    /// The model's own name, as in the ONNX file it was compiled from.
    pub name: &'m str,
    /// Element type.
    pub dtype: DType,
    /// Length in bytes.
    pub len: usize,
    /// What its integers stand for, where it is quantised.
    pub quant: Option<Quant>,
    dims: [usize; MAX_RANK],
    rank: usize,
}

/// How integers stand for real numbers: `integer * scale`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quant {
    /// Largest magnitude of an integer.
    pub qmax: u32,
    /// The scale; `None` where each run computes it.
    pub scale: Option<f32>,
}

impl<'m> TensorInfo<'m> {
    pub(crate) fn new(model: &Model<'m>, id: Option<u32>) -> TensorInfo<'m> {
        // Entries name no absent tensors in a model that was checked.
        let tensor = id.and_then(|id| model.tensor(id)).unwrap_or(Tensor {
            place: Place::Data,
            dtype: DType::U8,
            codec: Codec::Plain,
            rank: 1,
            dims: [0, 1, 1, 1, 1, 1],
            offset: 0,
            len: 0,
            scale: NONE,
            qmax: 0,
            non_negative: false,
            name_offset: 0,
            name_len: 0,
        });
        let (dims, rank) = tensor.shape();
        let quant = (tensor.qmax != 0).then(|| Quant {
            qmax: tensor.qmax,
            scale: static_scale(model, &tensor),
        });
        TensorInfo {
            name: model.tensor_name(&tensor),
            dtype: tensor.dtype,
            len: usize::try_from(tensor.len).unwrap_or(0),
            quant,
            dims,
            rank,
        }
    }

    /// Dimensions, outermost first.
    pub fn dims(&self) -> &[usize] {
        self.dims.get(..self.rank).unwrap_or_default()
    }

    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.len / self.dtype.size()
    }
}

fn static_scale(model: &Model<'_>, tensor: &Tensor) -> Option<f32> {
    let scale = model.tensor(tensor.scale)?;
    let bytes = model.constant(&scale)?;
    arena::elements::<f32>(bytes)?.first().copied()
}
