//! Products: MatMul, Gemm and Einsum of two operands arrive as one operator.
//!
//! Each letter of the equation plays one part: batch (in both operands and the
//! result), rows (left and result), columns (right and result), contracted (both
//! operands), or summed (one operand only). A product with a constant and
//! without batch is `gemm`, others are `matmul`, those without contraction are
//! an element-wise product. Transpositions and reshapes are emitted where the
//! operands' orders need them.

use super::reduce::mask;
use crate::import::builder::{Builder, Operand};
use crate::import::tensors::dense;
use crate::ir::{Type, ValueId};
use anyhow::Result;
use std::collections::HashMap;
use ternrt::DType;
use ternrt::kernels::eltwise::{BinaryKind, Unary};
use ternrt::kernels::reduce::ReduceKind;
use ternrt::ops::table::{BinaryOp, Gemm, MatMul, Reduce};
use tract_onnx::tract_core::ops::einsum::EinSum;
use tract_onnx::tract_hir::internal::*;

/// The letters of an equation.
struct Equation {
    inputs: Vec<Vec<char>>,
    output: Vec<char>,
    /// Size of each letter in the result, or where it is contracted.
    sizes: HashMap<char, usize>,
}

impl Equation {
    fn volume(&self, letters: &[char]) -> usize {
        letters.iter().map(|l| self.sizes[l]).product()
    }

    fn shape(&self, letters: &[char]) -> Vec<usize> {
        letters.iter().map(|l| self.sizes[l]).collect()
    }
}

pub(super) fn einsum(b: &mut Builder<'_>, node: &TypedNode, op: &EinSum) -> Result<Operand> {
    if op.q_params.is_some() || !matches!(op.operating_dt, DatumType::F32 | DatumType::F16) {
        return Err(b.refuse(format!(
            "is not supported on {:?}: float32 is",
            op.operating_dt
        )));
    }
    let mut eq = parse(b, op)?;
    match node.inputs.len() {
        1 => {
            let x = b.value(node, 0)?;
            let (x, letters) = sum_out(b, &mut eq, 0, x, &[])?;
            let x = arrange(b, x, &letters, &eq.output)?;
            let shape = b.result(node)?.shape;
            Ok(b.reshape(x, &shape)?.into())
        }
        2 => product(b, node, eq),
        n => Err(b.refuse(format!(
            "is not supported with {n} operands: split it into products of two"
        ))),
    }
}

fn parse(b: &Builder<'_>, op: &EinSum) -> Result<Equation> {
    let count = op.axes.input_count();
    let mut eq = Equation {
        inputs: vec![],
        output: vec![],
        sizes: HashMap::new(),
    };
    for slot in 0..count {
        eq.inputs
            .push(op.axes.axes(InOut::In(slot)).map(|a| a.repr).collect());
    }
    eq.output = op.axes.axes(InOut::Out(0)).map(|a| a.repr).collect();
    let repeats = |letters: &[char]| (1..letters.len()).any(|i| letters[..i].contains(&letters[i]));
    if eq.inputs.iter().any(|l| repeats(l)) || repeats(&eq.output) {
        return Err(b.refuse(format!(
            "is not supported: the equation {} takes a diagonal",
            op.axes
        )));
    }
    if let Some(l) = eq
        .output
        .iter()
        .find(|l| !eq.inputs.iter().any(|i| i.contains(l)))
    {
        return Err(b.refuse(format!(
            "is not supported: '{l}' of the equation {} is in no operand",
            op.axes
        )));
    }
    Ok(eq)
}

fn product(b: &mut Builder<'_>, node: &TypedNode, mut eq: Equation) -> Result<Operand> {
    let shapes = [b.input_shape(node, 0)?, b.input_shape(node, 1)?];
    for (letters, shape) in eq.inputs.iter().zip(&shapes) {
        for (&l, &d) in letters.iter().zip(shape) {
            let size = eq.sizes.entry(l).or_insert(1);
            *size = (*size).max(d);
        }
    }
    let size_in = |slot: usize, l: char| {
        eq.inputs[slot]
            .iter()
            .position(|&x| x == l)
            .map(|i| shapes[slot][i])
    };
    let mut parts = Parts::default();
    for &l in &eq.output {
        match (size_in(0, l), size_in(1, l)) {
            (Some(a), Some(b)) if a == b && a > 1 => parts.batch.push(l),
            (Some(_), Some(1) | None) => parts.rows.push(l),
            _ => parts.columns.push(l),
        }
    }
    for &l in &eq.inputs[0] {
        if !eq.output.contains(&l)
            && let Some(other) = size_in(1, l)
        {
            if other != eq.sizes[&l] || size_in(0, l) != Some(other) {
                return Err(b.refuse("is not supported: the contracted dimensions differ in size"));
            }
            parts.contracted.push(l);
        }
    }
    if parts.contracted.is_empty() {
        return elementwise(b, node, eq);
    }
    if parts.batch.is_empty() {
        if b.constant(node, 1).is_some() {
            return gemm(b, node, eq, parts, 0);
        }
        if b.constant(node, 0).is_some() {
            std::mem::swap(&mut parts.rows, &mut parts.columns);
            return gemm(b, node, eq, parts, 1);
        }
    }
    matmul(b, node, eq, parts)
}

#[derive(Default)]
struct Parts {
    batch: Vec<char>,
    rows: Vec<char>,
    columns: Vec<char>,
    contracted: Vec<char>,
}

/// `x`, operand `slot`, times the constant other operand. `rows` are the letters
/// that the result has from `x`, `columns` those from the constant.
fn gemm(
    b: &mut Builder<'_>,
    node: &TypedNode,
    mut eq: Equation,
    parts: Parts,
    slot: usize,
) -> Result<Operand> {
    let Parts {
        rows,
        columns,
        contracted,
        ..
    } = parts;
    let mut w = b.constant_f32(node, 1 - slot, "weights")?;
    // Constant letters that the result has from x are of size 1; those of
    // neither are summed.
    let mut letters = eq.inputs[1 - slot].clone();
    for i in (0..letters.len()).rev() {
        let l = letters[i];
        if columns.contains(&l) || contracted.contains(&l) {
            continue;
        }
        if w.shape()[i] != 1 {
            w = sum_constant(b, &w, i)?;
        }
        w.remove_axis(i)
            .map_err(|e| b.refuse(format!("has bad weights: {e}")))?;
        letters.remove(i);
    }
    let x = b.value(node, slot)?;
    let keep: Vec<char> = rows.iter().chain(&contracted).copied().collect();
    let (x, x_letters) = sum_out(b, &mut eq, slot, x, &keep)?;
    // The contracted letters in the order that x has them.
    let k: Vec<char> = x_letters
        .iter()
        .copied()
        .filter(|l| contracted.contains(l))
        .collect();
    let order: Vec<usize> = columns
        .iter()
        .chain(&k)
        .filter_map(|l| letters.iter().position(|x| x == l))
        .collect();
    let bad = |e| b.refuse(format!("has bad weights: {e}"));
    let w = w.permute_axes(&order).map_err(bad)?;
    let (n, depth) = (eq.volume(&columns), eq.volume(&k));
    let w = dense(&w.into_shape(&[n, depth]).map_err(bad)?)?;
    let w = b.add_constant("weight", w);
    let x_order: Vec<char> = rows.iter().chain(&k).copied().collect();
    let x = arrange(b, x, &x_letters, &x_order)?;
    let mut shape = eq.shape(&rows);
    shape.push(depth);
    let x = b.reshape(x, &shape)?;
    *shape.last_mut().unwrap_or(&mut 0) = n;
    let y = b.emit(
        Gemm {
            activation: Unary::IDENTITY,
        },
        &[x, w],
        Type::new(DType::F32, shape),
    )?;
    let y_order: Vec<char> = rows.iter().chain(&columns).copied().collect();
    let y = b.reshape(y, &eq.shape(&y_order))?;
    Ok(arrange(b, y, &y_order, &eq.output)?.into())
}

fn matmul(
    b: &mut Builder<'_>,
    node: &TypedNode,
    mut eq: Equation,
    parts: Parts,
) -> Result<Operand> {
    let Parts {
        batch,
        rows,
        columns,
        contracted,
    } = parts;
    let (a, transpose_a, k) = side(b, node, &mut eq, 0, &batch, &rows, &contracted)?;
    let (right, rows_first, _) = side(b, node, &mut eq, 1, &batch, &columns, &k)?;
    // The right operand is stored [k, n] unless its columns come first.
    let transpose_b = !rows_first;
    let mut shape = eq.shape(&batch);
    shape.extend([eq.volume(&rows), eq.volume(&columns)]);
    let y = b.emit(
        MatMul {
            transpose_a,
            transpose_b,
        },
        &[a, right],
        Type::new(DType::F32, shape),
    )?;
    let order: Vec<char> = batch.iter().chain(&rows).chain(&columns).copied().collect();
    let y = b.reshape(y, &eq.shape(&order))?;
    Ok(arrange(b, y, &order, &eq.output)?.into())
}

/// One operand as `[batch.., free, k]`, or `[batch.., k, free]` where that needs
/// no transposition: then the second result is true. The third is the order of
/// the contracted letters.
fn side(
    b: &mut Builder<'_>,
    node: &TypedNode,
    eq: &mut Equation,
    slot: usize,
    batch: &[char],
    free: &[char],
    contracted: &[char],
) -> Result<(ValueId, bool, Vec<char>)> {
    let x = b.value(node, slot)?;
    let keep: Vec<char> = batch
        .iter()
        .chain(free)
        .chain(contracted)
        .copied()
        .collect();
    let (x, letters) = sum_out(b, eq, slot, x, &keep)?;
    // The left operand decides the order in which letters are contracted.
    let k: Vec<char> = match slot {
        0 => letters
            .iter()
            .copied()
            .filter(|l| contracted.contains(l))
            .collect(),
        _ => contracted.to_vec(),
    };
    let join = |first: &[char], second: &[char]| -> Vec<char> {
        batch.iter().chain(first).chain(second).copied().collect()
    };
    let k_first = letters == join(&k, free);
    let order = if k_first {
        join(&k, free)
    } else {
        join(free, &k)
    };
    let x = arrange(b, x, &letters, &order)?;
    let mut shape = eq.shape(batch);
    let (free, depth) = (eq.volume(free), eq.volume(&k));
    shape.extend(if k_first {
        [depth, free]
    } else {
        [free, depth]
    });
    Ok((b.reshape(x, &shape)?, k_first, k))
}

/// No contraction: both operands broadcast to the result.
fn elementwise(b: &mut Builder<'_>, node: &TypedNode, mut eq: Equation) -> Result<Operand> {
    let result = b.result(node)?;
    let mut operands = vec![];
    for slot in 0..2 {
        let x = b.value(node, slot)?;
        let mut sizes: HashMap<char, usize> = HashMap::new();
        let shape = b.ty(x).shape.clone();
        sizes.extend(eq.inputs[slot].iter().copied().zip(shape));
        let keep = eq.output.clone();
        let (x, letters) = sum_out(b, &mut eq, slot, x, &keep)?;
        let order: Vec<char> = eq
            .output
            .iter()
            .copied()
            .filter(|l| letters.contains(l))
            .collect();
        let x = arrange(b, x, &letters, &order)?;
        let shape: Vec<usize> = eq
            .output
            .iter()
            .map(|l| if order.contains(l) { sizes[l] } else { 1 })
            .collect();
        operands.push(b.reshape(x, &shape)?);
    }
    let op = BinaryOp {
        function: BinaryKind::Mul,
        activation: Unary::IDENTITY,
    };
    Ok(b.emit(op, &operands, result)?.into())
}

/// Sums an operand over the letters that neither the result nor `keep` has, and
/// drops those of size 1 that `keep` does not have. Returns what is left.
fn sum_out(
    b: &mut Builder<'_>,
    eq: &mut Equation,
    slot: usize,
    x: ValueId,
    keep: &[char],
) -> Result<(ValueId, Vec<char>)> {
    let letters = eq.inputs[slot].clone();
    let ty = b.ty(x).clone();
    let keeps = |l: &char| {
        if keep.is_empty() {
            eq.output.contains(l)
        } else {
            keep.contains(l)
        }
    };
    let summed: Vec<usize> = (0..letters.len())
        .filter(|&i| !keeps(&letters[i]) && ty.shape[i] > 1)
        .collect();
    let mut x = x;
    if !summed.is_empty() {
        let mut shape = ty.shape.clone();
        summed.iter().for_each(|&i| shape[i] = 1);
        let op = Reduce {
            function: ReduceKind::Sum,
            axes: mask(b, &summed)?,
        };
        x = b.emit_aux("sum", op, &[x], Type::new(ty.dtype, shape))?;
    }
    let left: Vec<usize> = (0..letters.len()).filter(|&i| keeps(&letters[i])).collect();
    let shape: Vec<usize> = left.iter().map(|&i| ty.shape[i]).collect();
    let letters: Vec<char> = left.into_iter().map(|i| letters[i]).collect();
    Ok((b.reshape(x, &shape)?, letters))
}

/// Brings dimensions into another order.
fn arrange(b: &mut Builder<'_>, x: ValueId, from: &[char], to: &[char]) -> Result<ValueId> {
    let perm: Option<Vec<usize>> = to
        .iter()
        .map(|l| from.iter().position(|f| f == l))
        .collect();
    match perm {
        Some(perm) if perm.len() == from.len() => b.transpose(x, &perm, "transpose"),
        _ => Err(b.refuse(format!(
            "is not supported: its dimensions {from:?} do not make {to:?}"
        ))),
    }
}

fn sum_constant(b: &Builder<'_>, t: &Tensor, axis: usize) -> Result<Tensor> {
    use tract_onnx::tract_core::ops::nn::{Reduce, Reducer};
    let reduce = Reduce::new(tvec![axis], Reducer::Sum);
    let results = reduce.eval_out_of_plan(tvec![t.clone().into_tvalue()]);
    match results.ok().flatten().and_then(|mut r| r.pop()) {
        Some(sum) => Ok(sum.into_tensor()),
        None => Err(b.refuse("has weights that cannot be summed")),
    }
}
