//! Moves transposes towards the outputs, until they meet one that undoes them.
//!
//! The importer puts a transpose to NHWC before each op over images and one
//! back behind it. One sweep in execution order: an op whose operand comes from
//! a transpose works on the transpose's operand instead, and its result is
//! transposed; two transposes in a row become one, or none.

use crate::ir::{Constant, Def, Graph, Node, Op, Tensor, Type, Value, ValueId};
use crate::ops::{Arg, interpret};
use anyhow::Result;
use std::collections::{HashMap, HashSet};
use ternrt::ops::table::{Reshape, Transpose};

/// A value that is a transpose of another.
#[derive(Clone, Debug, PartialEq)]
struct View {
    of: ValueId,
    perm: Vec<usize>,
}

fn op(perm: &[usize]) -> Transpose {
    let mut p = [0u8; 6];
    p.iter_mut()
        .zip(perm)
        .for_each(|(to, &from)| *to = from as u8);
    Transpose { perm: p }
}

fn permuted<T: Copy>(v: &[T], perm: &[usize]) -> Vec<T> {
    perm.iter().map(|&p| v[p]).collect()
}

fn inverse(perm: &[usize]) -> Vec<usize> {
    let mut inverse = vec![0; perm.len()];
    perm.iter().enumerate().for_each(|(i, &p)| inverse[p] = i);
    inverse
}

/// Where an op that moves before a transpose finds an operand.
enum Source {
    /// It is left out.
    Absent,
    /// A value that is there.
    Value(ValueId),
    /// A constant, moved the other way.
    Constant(ValueId, Tensor),
    /// A value whose dimensions of more than one element keep their order, reshaped.
    Reshaped(ValueId, Vec<usize>),
}

struct Sweep<'g> {
    graph: &'g mut Graph,
    views: HashMap<ValueId, View>,
    /// The transposes that are there: of what, by which permutation, to what.
    transposed: HashMap<(ValueId, Vec<usize>), ValueId>,
    names: HashSet<String>,
    changed: bool,
}

pub(super) fn run(graph: &mut Graph) -> Result<bool> {
    let nodes = std::mem::take(&mut graph.nodes);
    let names = nodes.iter().map(|n| n.name.clone()).collect();
    let mut sweep = Sweep {
        graph,
        views: HashMap::new(),
        transposed: HashMap::new(),
        names,
        changed: false,
    };
    // Results that turned out to be other values.
    let mut renamed: HashMap<ValueId, ValueId> = HashMap::new();
    for mut node in nodes {
        for id in node.inputs.iter_mut().flatten() {
            *id = renamed.get(id).copied().unwrap_or(*id);
        }
        if let Op::Transpose(op) = node.op {
            if let Some((from, to)) = sweep.transpose(node, &op)? {
                renamed.insert(from, to);
            }
        } else if !sweep.sink(&node)? {
            sweep.graph.nodes.push(node);
        }
    }
    let changed = sweep.changed;
    for (_, id) in &mut graph.outputs {
        *id = renamed.get(id).copied().unwrap_or(*id);
    }
    Ok(changed)
}

impl Sweep<'_> {
    /// A transpose joins the one before it. Returns the result and what it
    /// equals where the two undo each other.
    fn transpose(&mut self, mut node: Node, t: &Transpose) -> Result<Option<(ValueId, ValueId)>> {
        let Some(x) = node.inputs[0] else {
            return Ok(None);
        };
        let rank = self.graph.ty(x).shape.len();
        let mut view = View {
            of: x,
            perm: t.perm[..rank].iter().map(|&p| p.into()).collect(),
        };
        if let Some(before) = self.views.get(&x) {
            view = View {
                of: before.of,
                perm: permuted(&before.perm, &view.perm),
            };
            self.changed = true;
        }
        if view.perm.is_sorted() {
            self.changed = true;
            return Ok(Some((node.outputs[0], view.of)));
        }
        node.inputs[0] = Some(view.of);
        node.op = op(&view.perm).into();
        let key = (view.of, view.perm.clone());
        self.transposed.entry(key).or_insert(node.outputs[0]);
        self.views.insert(node.outputs[0], view);
        self.graph.nodes.push(node);
        Ok(None)
    }

    /// Lets `node` work before the transpose of its operands, if it can.
    fn sink(&mut self, node: &Node) -> Result<bool> {
        if node.outputs.len() != 1 {
            return Ok(false);
        }
        // The second operand of a gather is indices, no part of the image.
        let image = match node.op {
            Op::Gather(_) => 1,
            _ => node.inputs.len(),
        };
        let views: Vec<&View> = node
            .inputs
            .iter()
            .take(image)
            .flatten()
            .filter_map(|id| self.views.get(id))
            .collect();
        let Some(&view) = views.first() else {
            return Ok(false);
        };
        if views.iter().any(|v| v.perm != view.perm) {
            return Ok(false);
        }
        let perm = view.perm.clone();
        let y = self.graph.ty(node.outputs[0]).clone();
        let Some((attributes, result_perm)) = moved_before(node, &perm, y.shape.len()) else {
            return Ok(false);
        };
        let back = inverse(&perm);
        let mut sources = Vec::new();
        for (i, input) in node.inputs.iter().enumerate() {
            sources.push(match input {
                None => Source::Absent,
                Some(id) if i >= image => Source::Value(*id),
                Some(id) => match self.source(*id, &perm, &back)? {
                    Some(source) => source,
                    None => return Ok(false),
                },
            });
        }
        let mut inputs = Vec::new();
        for source in sources {
            inputs.push(self.place(source, &node.name));
        }
        self.changed = true;
        let mut moved = Node {
            name: node.name.clone(),
            op: attributes,
            inputs,
            outputs: node.outputs.clone(),
        };
        if result_perm.is_sorted() {
            self.graph.nodes.push(moved);
            return Ok(true);
        }
        let shape = permuted(&y.shape, &inverse(&result_perm));
        let inner = self.value(&node.name, Type { shape, ..y });
        moved.outputs = vec![inner];
        self.graph.nodes.push(moved);
        let name = self.fresh(&node.name, "transpose");
        self.graph.nodes.push(Node {
            name,
            op: op(&result_perm).into(),
            inputs: vec![Some(inner)],
            outputs: node.outputs.clone(),
        });
        let key = (inner, result_perm.clone());
        self.transposed.entry(key).or_insert(node.outputs[0]);
        let view = View {
            of: inner,
            perm: result_perm,
        };
        self.views.insert(node.outputs[0], view);
        Ok(true)
    }

    /// The value that becomes `id` by this transpose, if there is one or it costs nothing.
    fn source(&self, id: ValueId, perm: &[usize], back: &[usize]) -> Result<Option<Source>> {
        if let Some(view) = self.views.get(&id).filter(|view| view.perm == perm) {
            return Ok(Some(Source::Value(view.of)));
        }
        if let Some(&there) = self.transposed.get(&(id, back.to_vec())) {
            return Ok(Some(Source::Value(there)));
        }
        let ty = self.graph.ty(id);
        if ty.shape.iter().all(|&d| d == 1) {
            return Ok(Some(Source::Value(id)));
        }
        // Shapes align at the right: dimensions of one element fill up the left.
        let Some(missing) = perm.len().checked_sub(ty.shape.len()) else {
            return Ok(None);
        };
        let mut shape = vec![1; missing];
        shape.extend(&ty.shape);
        let inner = permuted(&shape, back);
        if let Some(constant) = self.graph.constant(id) {
            let Constant::Dense(tensor) = constant.as_ref() else {
                return Ok(None);
            };
            let full = Tensor::new(shape, tensor.data.clone());
            let result = Type::new(ty.dtype, inner);
            let moved = interpret(&op(back).into(), &[Some(Arg::dense(&full))], &[result])?;
            return Ok(moved
                .into_iter()
                .next()
                .map(|tensor| Source::Constant(id, tensor)));
        }
        let moving: Vec<usize> = back.iter().copied().filter(|&p| shape[p] != 1).collect();
        Ok((moving.is_sorted() && ty.quant.is_none()).then_some(Source::Reshaped(id, inner)))
    }

    fn place(&mut self, source: Source, reader: &str) -> Option<ValueId> {
        match source {
            Source::Absent => None,
            Source::Value(id) => Some(id),
            Source::Constant(id, tensor) => {
                let name = self.graph.value(id).name.clone();
                Some(self.graph.add_constant(&name, Constant::Dense(tensor)))
            }
            Source::Reshaped(id, shape) => {
                let name = self.fresh(reader, "reshape");
                let ty = self.graph.ty(id).with_shape(shape);
                let y = self.value(&name, ty);
                self.graph.nodes.push(Node {
                    name,
                    op: Reshape {}.into(),
                    inputs: vec![Some(id)],
                    outputs: vec![y],
                });
                Some(y)
            }
        }
    }

    fn value(&mut self, name: &str, ty: Type) -> ValueId {
        self.graph.push(Value {
            name: name.to_owned(),
            ty,
            def: Def::Node,
            codec: None,
        })
    }

    fn fresh(&mut self, name: &str, suffix: &str) -> String {
        let mut candidate = format!("{name}.{suffix}");
        let mut n = 2;
        while !self.names.insert(candidate.clone()) {
            candidate = format!("{name}.{suffix}.{n}");
            n += 1;
        }
        candidate
    }
}

/// The op that does before the transpose what `node` does behind it, and the
/// permutation of its result (of `rank` dimensions) that is left.
fn moved_before(node: &Node, perm: &[usize], rank: usize) -> Option<(Op, Vec<usize>)> {
    // `axis` of the transposed value is this axis of the original.
    let axis = |a: u8| perm[a as usize] as u8;
    let mut op = node.op;
    let mut result_perm = perm.to_vec();
    match &mut op {
        Op::UnaryOp(_) | Op::BinaryOp(_) | Op::Where(_) | Op::Cast(_) | Op::Broadcast(_) => {}
        Op::Softmax(a) => a.axis = axis(a.axis),
        Op::Concat(a) => a.axis = axis(a.axis),
        Op::Gather(a) => a.axis = axis(a.axis),
        Op::Reduce(a) => {
            let reduced = |i: &usize| a.axes >> i & 1 == 1;
            if rank < perm.len() {
                // Without the reduced dimensions, the others close up.
                let kept: Vec<usize> = (0..perm.len())
                    .filter(|i| !reduced(i))
                    .map(|i| perm[i])
                    .collect();
                let position = |p: &usize| kept.iter().filter(|q| *q < p).count();
                result_perm = kept.iter().map(position).collect();
            }
            a.axes = (0..perm.len())
                .filter(reduced)
                .fold(0, |axes, i| axes | 1 << perm[i]);
        }
        Op::Slice(a) => {
            let (start, step) = (a.start, a.step);
            for (i, &p) in perm.iter().enumerate() {
                (a.start[p], a.step[p]) = (start[i], step[i]);
            }
        }
        Op::Pad(a) => {
            let before = a.before;
            let places = perm.iter().enumerate();
            places.for_each(|(i, &p)| a.before[p] = before[i]);
        }
        _ => return None,
    }
    (result_perm.len() == rank).then_some((op, result_perm))
}
