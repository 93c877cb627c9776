//! Values, nodes and the graph.

use super::tensor::Constant;
use crate::ops;
use anyhow::{Result, anyhow, ensure};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use ternrt::ops::Op;
use ternrt::{Codec, DType};

/// Index of a value in its graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(pub usize);

/// Index of a node in its graph's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub usize);

/// Where the scale of a quantised value comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scale {
    /// Known at compile time.
    Static(f32),
    /// The second result of a `quantize` node: f32, one element.
    Dynamic(ValueId),
}

/// How the integers of a quantised value stand for numbers: `q * scale`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quant {
    /// Largest magnitude: 63 (i7), 127 (i8) or 32767 (i16).
    pub qmax: i32,
    /// The scale.
    pub scale: Scale,
}

/// Type of a value.
#[derive(Clone, Debug, PartialEq)]
pub struct Type {
    /// Element type; F32 for ternary weights.
    pub dtype: DType,
    /// Dimensions, outermost first; at most 6.
    pub shape: Vec<usize>,
    /// Present on quantised activations (I8 or I16).
    pub quant: Option<Quant>,
}

impl Type {
    /// A type that is not quantised.
    pub fn new(dtype: DType, shape: impl Into<Vec<usize>>) -> Type {
        Type {
            dtype,
            shape: shape.into(),
            quant: None,
        }
    }

    /// A type of integers that stand for `q * scale`; I8 where `qmax` fits it, else I16.
    pub fn quantised(shape: impl Into<Vec<usize>>, qmax: i32, scale: Scale) -> Type {
        let dtype = if qmax <= i8::MAX as i32 {
            DType::I8
        } else {
            DType::I16
        };
        Type {
            dtype,
            shape: shape.into(),
            quant: Some(Quant { qmax, scale }),
        }
    }

    /// The same element type and quantisation in another shape.
    pub fn with_shape(&self, shape: impl Into<Vec<usize>>) -> Type {
        Type {
            dtype: self.dtype,
            shape: shape.into(),
            quant: self.quant,
        }
    }

    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// Bytes of the elements, stored plainly.
    pub fn bytes(&self) -> usize {
        self.elements() * self.dtype.size()
    }
}

/// `f32[1,32,32,64]`, `i8[1,8,8,16] q127 @ 0.05`, `i16[1,10] q32767 @ %9`.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[", self.dtype.name())?;
        for (i, d) in self.shape.iter().enumerate() {
            write!(f, "{}{d}", if i > 0 { "," } else { "" })?;
        }
        f.write_str("]")?;
        match self.quant {
            None => Ok(()),
            Some(Quant {
                qmax,
                scale: Scale::Static(scale),
            }) => write!(f, " q{qmax} @ {scale:?}"),
            Some(Quant {
                qmax,
                scale: Scale::Dynamic(value),
            }) => write!(f, " q{qmax} @ %{}", value.0),
        }
    }
}

/// What defines a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Def {
    /// The graph's input of this position.
    Input(usize),
    /// Constant data.
    Const(Arc<Constant>),
    /// A node's result: by position among the node's outputs. Which node is
    /// found by [`Graph::producers`].
    Node,
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// Name, for people; inputs and outputs carry their ONNX names in [`Graph`].
    pub name: String,
    /// Type.
    pub ty: Type,
    /// Definition.
    pub def: Def,
    /// Layout of a weight constant, once chosen; `None` elsewhere.
    pub codec: Option<Codec>,
}

/// An op with operands and results.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The ONNX node's name, unique in the graph.
    pub name: String,
    /// The op and its attributes.
    pub op: Op,
    /// Operands in the op table's order; trailing absent ones may be left out.
    pub inputs: Vec<Option<ValueId>>,
    /// Results in the op table's order.
    pub outputs: Vec<ValueId>,
}

/// A model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graph {
    /// Name, for people.
    pub name: String,
    /// All values, dead ones included; [`ValueId`] indexes here and stays valid.
    pub values: Vec<Value>,
    /// Nodes in execution order.
    pub nodes: Vec<Node>,
    /// Inputs: the ONNX name and the value.
    pub inputs: Vec<(String, ValueId)>,
    /// Outputs: the ONNX name and the value.
    pub outputs: Vec<(String, ValueId)>,
    /// The model's own metadata (`labels`, `licence` ...).
    pub metadata: BTreeMap<String, String>,
}

impl Graph {
    /// The value with this id.
    pub fn value(&self, id: ValueId) -> &Value {
        &self.values[id.0]
    }

    /// The type of a value.
    pub fn ty(&self, id: ValueId) -> &Type {
        &self.values[id.0].ty
    }

    /// Constant data, if the value is constant.
    pub fn constant(&self, id: ValueId) -> Option<&Arc<Constant>> {
        match &self.values[id.0].def {
            Def::Const(c) => Some(c),
            _ => None,
        }
    }

    /// Adds an input.
    pub fn add_input(&mut self, name: &str, ty: Type) -> ValueId {
        let id = self.push(Value {
            name: name.into(),
            ty,
            def: Def::Input(self.inputs.len()),
            codec: None,
        });
        self.inputs.push((name.into(), id));
        id
    }

    /// Adds a constant.
    pub fn add_constant(&mut self, name: &str, constant: Constant) -> ValueId {
        let dtype = match &constant {
            Constant::Dense(t) => t.dtype(),
            Constant::Scaled(_) => DType::F32,
        };
        let ty = Type::new(dtype, constant.shape());
        self.push(Value {
            name: name.into(),
            ty,
            def: Def::Const(Arc::new(constant)),
            codec: None,
        })
    }

    /// Adds a node at the end with results of these types (which the verifier
    /// compares with shape inference), and returns the results.
    pub fn add_node(
        &mut self,
        name: &str,
        op: impl Into<Op>,
        inputs: &[Option<ValueId>],
        results: Vec<Type>,
    ) -> Vec<ValueId> {
        let outputs: Vec<ValueId> = results
            .into_iter()
            .map(|ty| {
                self.push(Value {
                    name: name.into(),
                    ty,
                    def: Def::Node,
                    codec: None,
                })
            })
            .collect();
        self.nodes.push(Node {
            name: name.into(),
            op: op.into(),
            inputs: inputs.to_vec(),
            outputs: outputs.clone(),
        });
        outputs
    }

    /// Adds a node at the end, its results' types by shape inference
    /// ([`ops::infer`]), and returns the first result. An error names the node,
    /// the op and what does not fit.
    pub fn emit(
        &mut self,
        name: &str,
        op: impl Into<Op>,
        inputs: &[Option<ValueId>],
    ) -> Result<ValueId> {
        self.emit_checked(name, op.into(), inputs, None)
    }

    /// As [`emit`](Self::emit), for ops whose attributes do not determine the
    /// result's type: `wanted` is validated. For `quantize` use
    /// [`emit_quantize`](Self::emit_quantize).
    pub fn emit_as(
        &mut self,
        name: &str,
        op: impl Into<Op>,
        inputs: &[Option<ValueId>],
        wanted: Type,
    ) -> Result<ValueId> {
        self.emit_checked(name, op.into(), inputs, Some(wanted))
    }

    /// Adds a `quantize` node for the f32 value `x`: with this static scale, or
    /// with a dynamic one (the node's second result) where `scale` is `None`.
    /// Returns the integers, whose type names the scale.
    pub fn emit_quantize(
        &mut self,
        name: &str,
        x: ValueId,
        qmax: i32,
        scale: Option<f32>,
    ) -> Result<ValueId> {
        // The node's results are the next two values.
        let scale = scale.map_or(
            Scale::Dynamic(ValueId(self.values.len() + 1)),
            Scale::Static,
        );
        let shape = self.shape_of(name, x)?;
        self.emit_as(
            name,
            ternrt::ops::table::Quantize {},
            &[Some(x)],
            Type::quantised(shape, qmax, scale),
        )
    }

    fn shape_of(&self, name: &str, id: ValueId) -> Result<Vec<usize>> {
        let value = self
            .values
            .get(id.0)
            .ok_or_else(|| anyhow!("node {name:?}: there is no value %{}", id.0))?;
        Ok(value.ty.shape.clone())
    }

    fn emit_checked(
        &mut self,
        name: &str,
        op: Op,
        inputs: &[Option<ValueId>],
        wanted: Option<Type>,
    ) -> Result<ValueId> {
        for id in inputs.iter().flatten() {
            self.shape_of(name, *id)?;
        }
        let types: Vec<Option<&Type>> = inputs.iter().map(|i| i.map(|v| self.ty(v))).collect();
        let results = ops::infer(&op, &types, wanted.as_ref())
            .map_err(|e| anyhow!("node {name:?}: {e:#}"))?;
        ensure!(
            !results.is_empty(),
            "node {name:?}: {} has no result",
            op.name()
        );
        Ok(self.add_node(name, op, inputs, results)[0])
    }

    /// Adds a value without placing it; for passes that build nodes themselves.
    pub fn push(&mut self, value: Value) -> ValueId {
        self.values.push(value);
        ValueId(self.values.len() - 1)
    }

    /// The node that computes each value, if one does.
    pub fn producers(&self) -> Vec<Option<NodeId>> {
        let mut producers = vec![None; self.values.len()];
        for (n, node) in self.nodes.iter().enumerate() {
            for o in &node.outputs {
                producers[o.0] = Some(NodeId(n));
            }
        }
        producers
    }

    /// The nodes that read each value (a node once for each operand), and
    /// [`NodeId`] `usize::MAX` once for each graph output.
    pub fn consumers(&self) -> Vec<Vec<NodeId>> {
        let mut consumers = vec![Vec::new(); self.values.len()];
        for (n, node) in self.nodes.iter().enumerate() {
            for i in node.inputs.iter().flatten() {
                consumers[i.0].push(NodeId(n));
            }
        }
        for (_, o) in &self.outputs {
            consumers[o.0].push(NodeId(usize::MAX));
        }
        consumers
    }

    /// The values that an operand or result refers to: itself, and its dynamic scale.
    pub fn with_scale(&self, id: ValueId) -> impl Iterator<Item = ValueId> + use<> {
        let scale = self.ty(id).quant.and_then(|q| match q.scale {
            Scale::Dynamic(scale) => Some(scale),
            Scale::Static(_) => None,
        });
        [Some(id), scale].into_iter().flatten()
    }

    /// Removes the nodes whose results no output needs; tells whether there were any.
    pub fn remove_dead(&mut self) -> bool {
        let mut live = vec![false; self.values.len()];
        for (_, id) in &self.outputs {
            self.with_scale(*id).for_each(|v| live[v.0] = true);
        }
        let mut keep = vec![false; self.nodes.len()];
        for (n, node) in self.nodes.iter().enumerate().rev() {
            if node.outputs.iter().any(|o| live[o.0]) {
                keep[n] = true;
                for id in node.inputs.iter().flatten() {
                    self.with_scale(*id).for_each(|v| live[v.0] = true);
                }
            }
        }
        let before = self.nodes.len();
        let mut keep = keep.into_iter();
        self.nodes.retain(|_| keep.next().unwrap_or(true));
        self.nodes.len() < before
    }

    /// Makes every reader of `from` read `to` instead, graph outputs included.
    pub fn replace_uses(&mut self, from: ValueId, to: ValueId) {
        let swap = |v: &mut ValueId| {
            if *v == from {
                *v = to;
            }
        };
        self.nodes
            .iter_mut()
            .flat_map(|n| n.inputs.iter_mut().flatten())
            .for_each(swap);
        self.outputs.iter_mut().for_each(|(_, v)| swap(v));
    }
}
