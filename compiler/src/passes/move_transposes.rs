//! Moves transposes towards the outputs, until they meet one that undoes them.
//!
//! The importer puts a transpose to NHWC before each op over images and one
//! back behind it. One sweep in execution order: an op whose operand comes from
//! a transpose works on the transpose's operand instead, and its result is
//! transposed; two transposes in a row become one, or none.

use crate::ir::{Constant, Def, Graph, Node, Op, Tensor, Type, ValueId};
use crate::ops::{Arg, interpret};
use anyhow::Result;
use std::collections::{HashMap, HashSet};
use ternrt::ops::table::Transpose;

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

struct Sweep<'g> {
    graph: &'g mut Graph,
    views: HashMap<ValueId, View>,
    names: HashSet<String>,
    changed: bool,
}

pub(super) fn run(graph: &mut Graph) -> Result<bool> {
    let nodes = std::mem::take(&mut graph.nodes);
    let names = nodes.iter().map(|n| n.name.clone()).collect();
    let mut sweep = Sweep {
        graph,
        views: HashMap::new(),
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
        self.views.insert(node.outputs[0], view);
        self.graph.nodes.push(node);
        Ok(None)
    }

    /// Lets `node` work before the transpose of its operands, if it can.
    fn sink(&mut self, node: &Node) -> Result<bool> {
        if node.outputs.len() != 1 {
            return Ok(false);
        }
        let views: Vec<&View> = node
            .inputs
            .iter()
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
        if y.shape.len() != perm.len() {
            return Ok(false);
        }
        // `axis` of the transposed value is this axis of the original.
        let axis = |a: u8| perm[a as usize] as u8;
        let mut attributes = node.op;
        match &mut attributes {
            Op::UnaryOp(_) | Op::BinaryOp(_) | Op::Where(_) | Op::Cast(_) => {}
            Op::Softmax(a) => a.axis = axis(a.axis),
            Op::Concat(a) => a.axis = axis(a.axis),
            Op::Reduce(a) => {
                a.axes = (0..perm.len() as u8)
                    .filter(|&i| a.axes >> i & 1 == 1)
                    .fold(0, |axes, i| axes | 1 << axis(i));
            }
            Op::Slice(a) => {
                let (start, step) = (a.start, a.step);
                for (i, &p) in perm.iter().enumerate() {
                    (a.start[p], a.step[p]) = (start[i], step[i]);
                }
            }
            Op::Pad(a) => {
                let before = a.before;
                perm.iter()
                    .enumerate()
                    .for_each(|(i, &p)| a.before[p] = before[i]);
            }
            _ => return Ok(false),
        }
        let back = inverse(&perm);
        let mut inputs = Vec::new();
        for input in &node.inputs {
            inputs.push(match input {
                None => None,
                Some(id) => match self.untransposed(*id, &perm, &back)? {
                    Some(id) => Some(id),
                    None => return Ok(false),
                },
            });
        }
        let shape = permuted(&y.shape, &back);
        let inner = self.graph.push(crate::ir::Value {
            name: node.name.clone(),
            ty: Type { shape, ..y },
            def: Def::Node,
            codec: None,
        });
        self.graph.nodes.push(Node {
            name: node.name.clone(),
            op: attributes,
            inputs,
            outputs: vec![inner],
        });
        let name = self.fresh(&node.name);
        self.graph.nodes.push(Node {
            name,
            op: op(&perm).into(),
            inputs: vec![Some(inner)],
            outputs: node.outputs.clone(),
        });
        self.views.insert(node.outputs[0], View { of: inner, perm });
        self.changed = true;
        Ok(true)
    }

    /// The value that becomes `id` by this transpose: the operand of one, a
    /// constant moved the other way, or one whose elements cannot tell.
    fn untransposed(
        &mut self,
        id: ValueId,
        perm: &[usize],
        back: &[usize],
    ) -> Result<Option<ValueId>> {
        if let Some(view) = self.views.get(&id) {
            return Ok(Some(view.of));
        }
        let ty = self.graph.ty(id).clone();
        if ty.shape.iter().all(|&d| d == 1) {
            return Ok(Some(id));
        }
        let Some(Constant::Dense(tensor)) = self.graph.constant(id).map(|c| c.as_ref()) else {
            return Ok(None);
        };
        // Shapes align at the right: dimensions of one element fill up the left.
        let mut shape = vec![1; perm.len() - ty.shape.len().min(perm.len())];
        shape.extend(&ty.shape);
        if shape.len() != perm.len() {
            return Ok(None);
        }
        let full = Tensor::new(shape.clone(), tensor.data.clone());
        let result = Type::new(ty.dtype, permuted(&shape, back));
        let moved = interpret(&op(back).into(), &[Some(Arg::dense(&full))], &[result])?.remove(0);
        let name = self.graph.value(id).name.clone();
        Ok(Some(self.graph.add_constant(&name, Constant::Dense(moved))))
    }

    fn fresh(&mut self, name: &str) -> String {
        let mut candidate = format!("{name}.transpose");
        let mut n = 2;
        while !self.names.insert(candidate.clone()) {
            candidate = format!("{name}.transpose.{n}");
            n += 1;
        }
        candidate
    }
}
