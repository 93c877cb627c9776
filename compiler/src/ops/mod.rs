//! What the ops mean to the compiler: shape inference ([`infer`]) and the
//! reference interpreter ([`interpret()`], [`run_graph`]).
//!
//! The ops and their attributes are the runtime's ([`ternrt::ops::table`]). One
//! file an op holds both functions; `for_each_op!` is the only place that
//! lists them.

mod average_pool;
mod binary;
mod broadcast;
mod cast;
mod concat;
mod conv2d;
mod depthwise_conv2d;
mod dequantize;
mod elementary;
mod gather;
mod gemm;
mod index;
mod matmul;
mod max_pool;
mod pad;
mod product;
mod quantize;
mod reduce;
mod reshape;
mod resize;
mod select;
mod slice;
mod softmax;
#[cfg(test)]
mod tests;
mod transpose;
mod unary;
mod window;

use crate::ir::Type;
use anyhow::{Result, anyhow, bail, ensure};
use ternrt::DType;
use ternrt::kernels::MAX_RANK;
use ternrt::ops::Op;

/// Calls a function of the op's module with its attributes and more arguments.
macro_rules! for_each_op {
    ($op:expr, $f:ident, $($arg:expr),*) => {
        match $op {
            Op::Conv2d(a) => conv2d::$f(a, $($arg),*),
            Op::DepthwiseConv2d(a) => depthwise_conv2d::$f(a, $($arg),*),
            Op::Gemm(a) => gemm::$f(a, $($arg),*),
            Op::MatMul(a) => matmul::$f(a, $($arg),*),
            Op::MaxPool(a) => max_pool::$f(a, $($arg),*),
            Op::AveragePool(a) => average_pool::$f(a, $($arg),*),
            Op::UnaryOp(a) => unary::$f(a, $($arg),*),
            Op::BinaryOp(a) => binary::$f(a, $($arg),*),
            Op::Where(a) => select::$f(a, $($arg),*),
            Op::Cast(a) => cast::$f(a, $($arg),*),
            Op::Quantize(a) => quantize::$f(a, $($arg),*),
            Op::Dequantize(a) => dequantize::$f(a, $($arg),*),
            Op::Reduce(a) => reduce::$f(a, $($arg),*),
            Op::Softmax(a) => softmax::$f(a, $($arg),*),
            Op::Transpose(a) => transpose::$f(a, $($arg),*),
            Op::Concat(a) => concat::$f(a, $($arg),*),
            Op::Slice(a) => slice::$f(a, $($arg),*),
            Op::Pad(a) => pad::$f(a, $($arg),*),
            Op::Gather(a) => gather::$f(a, $($arg),*),
            Op::Resize(a) => resize::$f(a, $($arg),*),
            Op::Broadcast(a) => broadcast::$f(a, $($arg),*),
            Op::Reshape(a) => reshape::$f(a, $($arg),*),
        }
    };
}

mod interpret;
pub(crate) use cast::convert;
pub use interpret::{Arg, Elements, interpret, run_graph, run_graph_observing};

/// Whether an op multiplies by constant weights, its operand 1.
pub fn has_weights(op: &Op) -> bool {
    matches!(op, Op::Conv2d(_) | Op::DepthwiseConv2d(_) | Op::Gemm(_))
}

/// Types of an op's results.
///
/// `inputs` are the operands' types in the op table's order; trailing absent
/// ones may be left out. `wanted` is the first result's type where the
/// attributes do not determine it, and is validated:
///
/// - required by `reshape`, `broadcast`, `cast` and `quantize` (I8 or I16 with
///   [`Quant`](crate::ir::Quant); a dynamic scale asks for the second result);
/// - optional for `pad` (default: nothing is added at the end), `slice`
///   (default: as many elements as there are), `resize` (default:
///   `floor(input * scale)`), transposed `conv2d` (default: no output padding),
///   pools (default: floor; the ceil size is accepted), `reduce` (default:
///   reduced dimensions stay as 1; they may be left out);
/// - optional for `conv2d`, `depthwise_conv2d` and `gemm`, to ask for a
///   quantised result instead of f32;
/// - elsewhere it must equal what is inferred.
///
/// Errors name the op, the attribute and the shapes that do not fit.
pub fn infer(op: &Op, inputs: &[Option<&Type>], wanted: Option<&Type>) -> Result<Vec<Type>> {
    let io = Signature { op, inputs, wanted };
    let results = io
        .check_types()
        .and_then(|()| for_each_op!(op, infer, &io))
        .map_err(|e| anyhow!("{}: {e:#}", op.name()))?;
    if let (Some(wanted), Some(first)) = (wanted, results.first()) {
        ensure!(
            first == wanted,
            "{}: the result is {first}, not {wanted}",
            op.name()
        );
    }
    for ty in &results {
        check_size(ty).map_err(|e| anyhow!("{}: {e:#}", op.name()))?;
    }
    Ok(results)
}

/// Operand types and the wanted result, as the op modules see them.
pub(crate) struct Signature<'a> {
    op: &'a Op,
    inputs: &'a [Option<&'a Type>],
    /// The wanted type of the first result.
    pub wanted: Option<&'a Type>,
}

impl<'a> Signature<'a> {
    fn check_types(&self) -> Result<()> {
        let names = self.op.row().operands;
        ensure!(
            self.inputs.len() <= names.len(),
            "{} operands, at most {} are taken",
            self.inputs.len(),
            names.len()
        );
        for (i, name) in names.iter().enumerate() {
            match self.optional(i) {
                None => ensure!(name.ends_with('?'), "operand {name:?} is missing"),
                Some(ty) => {
                    check_size(ty)?;
                    if let Some(quant) = ty.quant {
                        let most = match ty.dtype {
                            DType::I8 => i8::MAX as i32,
                            DType::I16 => i16::MAX as i32,
                            _ => bail!("operand {name:?} {ty} is quantised: i8 or i16 is needed"),
                        };
                        ensure!(
                            (1..=most).contains(&quant.qmax),
                            "operand {name:?} {ty}: qmax must lie in 1..={most}"
                        );
                    }
                }
            }
        }
        self.wanted.map_or(Ok(()), check_size)
    }

    /// Operand `i`, if present.
    pub fn optional(&self, i: usize) -> Option<&'a Type> {
        self.inputs.get(i).copied().flatten()
    }

    /// Operand `i`; its presence has been checked for the ops that need it.
    pub fn input(&self, i: usize) -> Result<&'a Type> {
        self.optional(i)
            .ok_or_else(|| anyhow!("operand {:?} is missing", self.operand(i)))
    }

    /// Name of operand `i` in the op table.
    pub fn operand(&self, i: usize) -> &'static str {
        self.op
            .row()
            .operands
            .get(i)
            .map_or("?", |n| n.trim_end_matches('?'))
    }

    /// Operand `i`, which must be f32.
    pub fn f32(&self, i: usize) -> Result<&'a Type> {
        self.of(i, &[DType::F32])
    }

    /// Operand `i`, which must have one of these dtypes and not be quantised.
    pub fn of(&self, i: usize, dtypes: &[DType]) -> Result<&'a Type> {
        let ty = self.input(i)?;
        let names: Vec<_> = dtypes.iter().map(|d| d.name()).collect();
        ensure!(
            ty.quant.is_none() && dtypes.contains(&ty.dtype),
            "operand {:?} is {ty}, must be {}",
            self.operand(i),
            names.join(" or ")
        );
        Ok(ty)
    }

    /// Operand `i` as an NHWC image: batch, `[height, width]` and channels.
    pub fn image(&self, i: usize) -> Result<(usize, [usize; 2], usize)> {
        let ty = self.input(i)?;
        match ty.shape[..] {
            [n, h, w, c] => Ok((n, [h, w], c)),
            _ => bail!(
                "operand {:?} is {ty}, must be an image [batch,height,width,channels]",
                self.operand(i)
            ),
        }
    }

    /// The wanted type, for ops that cannot do without.
    pub fn required(&self) -> Result<&'a Type> {
        self.wanted
            .ok_or_else(|| anyhow!("the result's type must be given"))
    }

    /// Checks an axis of a shape.
    pub fn axis(&self, axis: u8, ty: &Type) -> Result<usize> {
        ensure!(
            (axis as usize) < ty.shape.len(),
            "axis={axis} of {ty}, which has rank {}",
            ty.shape.len()
        );
        Ok(axis as usize)
    }

    /// The unused entries (beyond the rank) of a per-dimension attribute must be `unused`.
    pub fn entries<T: PartialEq + std::fmt::Debug>(
        &self,
        name: &str,
        values: &[T],
        ty: &Type,
        unused: T,
    ) -> Result<()> {
        let rank = ty.shape.len();
        ensure!(
            values.iter().skip(rank).all(|v| *v == unused),
            "{name}={values:?}: entries beyond the rank of {ty} must be {unused:?}"
        );
        Ok(())
    }
}

/// Rank, dimensions and bytes must be such that the format can hold them;
/// tensors without elements are not supported.
pub(crate) fn check_size(ty: &Type) -> Result<()> {
    ensure!(
        ty.shape.len() <= MAX_RANK,
        "{ty} has rank {}, at most {MAX_RANK} is supported",
        ty.shape.len()
    );
    ensure!(!ty.shape.contains(&0), "{ty} has no elements");
    let bytes = ty
        .shape
        .iter()
        .try_fold(ty.dtype.size() as u64, |n, &d| n.checked_mul(d as u64));
    ensure!(
        bytes.is_some_and(|n| n <= isize::MAX as u64)
            && ty.shape.iter().all(|&d| d <= u32::MAX as usize),
        "{ty} is too large"
    );
    Ok(())
}

/// NumPy's broadcasting of shapes; `None` where they do not match.
pub(crate) fn broadcast_shapes(shapes: &[&[usize]]) -> Option<Vec<usize>> {
    let rank = shapes.iter().map(|s| s.len()).max().unwrap_or(0);
    let mut out = vec![1; rank];
    for shape in shapes {
        for (o, &d) in out[rank - shape.len()..].iter_mut().zip(*shape) {
            match (*o, d) {
                (1, d) => *o = d,
                (o, d) if d == 1 || d == o => {}
                _ => return None,
            }
        }
    }
    Some(out)
}
