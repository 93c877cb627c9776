//! The graph under construction, and what the operators' lowerings share.

use super::inputs;
use super::ops;
use super::prepare::Nodes;
use super::tensors::{dense, dtype};
use crate::ir::{Constant, Def, Graph, Op, Tensor as Dense, Type, ValueId};
use anyhow::{Context, Error, Result, anyhow, bail, ensure};
use std::collections::{HashMap, HashSet};
use std::fmt::Display;
use std::sync::Arc;
use ternrt::DType;
use ternrt::kernels::MAX_RANK;
use ternrt::kernels::eltwise::Unary;
use ternrt::ops::table::{Cast, Reshape, Transpose, UnaryOp};
use tract_onnx::pb::ModelProto;
use tract_onnx::tract_core::ops::konst::Const;
use tract_onnx::tract_core::ops::source::TypedSource;
use tract_onnx::tract_hir::internal::*;

/// What tract's outlet has become.
#[derive(Clone, Debug)]
pub(super) enum Operand {
    /// Known at compile time; becomes a constant of the graph when a node asks for it.
    Constant(Arc<Tensor>),
    /// Computed at run time. Never F16: half precision is widened.
    Value(ValueId),
}

impl From<ValueId> for Operand {
    fn from(id: ValueId) -> Operand {
        Operand::Value(id)
    }
}

/// Folding may not make a constant larger than its operands beyond this many bytes.
const FOLD_BYTES: usize = 4 << 20;

/// Builds the graph node by node.
pub(super) struct Builder<'m> {
    graph: Graph,
    model: &'m TypedModel,
    operands: HashMap<OutletId, Operand>,
    /// Constants already in the graph.
    constants: HashMap<OutletId, ValueId>,
    /// The graph's node that computes a value.
    producers: HashMap<ValueId, usize>,
    nodes: Nodes,
    taken: HashSet<String>,
    /// Name and operator of the ONNX node at work.
    current: (String, String),
}

impl<'m> Builder<'m> {
    pub(super) fn new(model: &'m TypedModel, nodes: Nodes) -> Builder<'m> {
        Builder {
            graph: Graph::default(),
            model,
            operands: HashMap::new(),
            constants: HashMap::new(),
            producers: HashMap::new(),
            nodes,
            taken: HashSet::new(),
            current: Default::default(),
        }
    }

    /// Lowers everything that the outputs, called `outputs`, depend on.
    pub(super) fn run(&mut self, proto: &ModelProto, outputs: &[String]) -> Result<()> {
        let graph = proto.graph.as_ref().context("no graph")?;
        self.inputs(
            &inputs::inputs(graph)
                .iter()
                .map(|i| i.name.as_str())
                .collect::<Vec<_>>(),
        )?;
        for id in self
            .model
            .eval_order()
            .map_err(|e| anyhow!("the graph has no order of execution: {e}"))?
        {
            let node = self.model.node(id);
            if node.op_is::<TypedSource>() {
                continue;
            }
            self.enter(node);
            if let Some(constants) = self.fold(node)? {
                for (slot, constant) in constants.into_iter().enumerate() {
                    self.operands
                        .insert(OutletId::new(id, slot), Operand::Constant(constant));
                }
                continue;
            }
            let operand = ops::lower(self, node)?;
            self.operands.insert(OutletId::new(id, 0), operand);
        }
        self.outputs(outputs)
    }

    /// The graph, without what no output needs.
    pub(super) fn finish(self) -> Result<Graph> {
        let mut graph = self.graph;
        graph.remove_dead();
        for node in &graph.nodes {
            for &v in node.inputs.iter().flatten().chain(&node.outputs) {
                check_type(graph.ty(v)).map_err(|e| anyhow!("node \"{}\": {e}", node.name))?;
            }
        }
        Ok(graph)
    }

    fn inputs(&mut self, names: &[&str]) -> Result<()> {
        let outlets = self
            .model
            .input_outlets()
            .map_err(|e| anyhow!("{e}"))?
            .to_vec();
        ensure!(
            outlets.len() == names.len(),
            "the model's inputs were not recognised"
        );
        for (outlet, name) in outlets.into_iter().zip(names) {
            let fact = self.model.outlet_fact(outlet).map_err(|e| anyhow!("{e}"))?;
            let dtype = if fact.datum_type == DatumType::F16 {
                DType::F16
            } else {
                dtype(fact.datum_type).map_err(|e| anyhow!("input \"{name}\" {e}"))?
            };
            let shape = self
                .shape(outlet)
                .map_err(|e| anyhow!("input \"{name}\": {e}"))?;
            let ty = Type::new(dtype, shape);
            check_type(&ty).map_err(|e| anyhow!("input \"{name}\": {e}"))?;
            let mut id = self.graph.add_input(name, ty.clone());
            if dtype == DType::F16 {
                self.current = ((*name).into(), "Cast".into());
                id = self.emit_named(
                    format!("{name}.cast"),
                    Cast {},
                    &[id],
                    Type::new(DType::F32, ty.shape),
                )?;
            }
            self.operands.insert(outlet, id.into());
        }
        Ok(())
    }

    fn outputs(&mut self, names: &[String]) -> Result<()> {
        let outlets = self
            .model
            .output_outlets()
            .map_err(|e| anyhow!("{e}"))?
            .to_vec();
        ensure!(
            outlets.len() == names.len(),
            "the model's outputs were not recognised"
        );
        for (outlet, name) in outlets.into_iter().zip(names) {
            self.current = (name.clone(), "Identity".into());
            let half = self
                .model
                .outlet_fact(outlet)
                .is_ok_and(|f| f.datum_type == DatumType::F16);
            let mut id = self
                .materialise(outlet)
                .map_err(|e| anyhow!("output \"{name}\": {e}"))?;
            let ty = self.graph.ty(id).clone();
            if half {
                id = self.emit_named(
                    format!("{name}.cast"),
                    Cast {},
                    &[id],
                    Type::new(DType::F16, ty.shape),
                )?;
            } else if !matches!(self.graph.value(id).def, Def::Node)
                || self.graph.outputs.iter().any(|(_, o)| *o == id)
            {
                // Each output is a node's result of its own.
                let op = UnaryOp {
                    function: Unary::IDENTITY,
                };
                id = self.emit_named(format!("{name}.copy"), op, &[id], ty)?;
            }
            self.graph.outputs.push((name.clone(), id));
        }
        Ok(())
    }

    /// Finds the ONNX node that a node of tract's stems from: its name is tract's
    /// up to a separator.
    fn enter(&mut self, node: &TypedNode) {
        let mut base = node.name.as_str();
        loop {
            if let Some(op) = self.nodes.get(base) {
                self.current = (base.into(), op.clone());
                return;
            }
            match base.rfind(['.', '-']) {
                Some(at) => base = &base[..at],
                None => {
                    self.current = (node.name.clone(), node.op.name().into_owned());
                    return;
                }
            }
        }
    }

    /// The operator of the ONNX node at work.
    pub(super) fn operator(&self) -> &str {
        &self.current.1
    }

    /// An error about the node at work; `reason` follows the operator's name.
    pub(super) fn refuse(&self, reason: impl Display) -> Error {
        anyhow!(
            "node \"{}\": op \"{}\" {reason}",
            self.current.0,
            self.current.1
        )
    }

    /// The node's results, if they follow from constants.
    fn fold(&self, node: &TypedNode) -> Result<Option<Vec<Arc<Tensor>>>> {
        if let Some(op) = node.op_as::<Const>() {
            return Ok(Some(vec![op.val().clone()]));
        }
        let mut inputs = tvec!();
        for outlet in &node.inputs {
            match self.operands.get(outlet) {
                Some(Operand::Constant(t)) => inputs.push(t.clone().into_tvalue()),
                _ => return Ok(None),
            }
        }
        let size = |t: &TValue| t.volume() * t.datum_type().size_of();
        let read: usize = inputs.iter().map(size).sum();
        let mut written = 0usize;
        for output in &node.outputs {
            let volume = output.fact.shape.volume().to_usize().unwrap_or(usize::MAX);
            written =
                written.saturating_add(volume.saturating_mul(output.fact.datum_type.size_of()));
        }
        if written > read.max(FOLD_BYTES) {
            return Ok(None);
        }
        let results = node.op.eval_out_of_plan(inputs).map_err(|e| {
            self.refuse(format!(
                "cannot be evaluated on constants: {}",
                super::onnx::one_line(&e.root_cause().to_string())
            ))
        })?;
        Ok(results.map(|r| r.into_iter().map(|t| t.into_arc_tensor()).collect()))
    }

    /// Dimensions of an outlet.
    pub(super) fn shape(&self, outlet: OutletId) -> Result<Vec<usize>> {
        let fact = self.model.outlet_fact(outlet).map_err(|e| anyhow!("{e}"))?;
        match fact.shape.as_concrete() {
            Some(shape) => Ok(shape.to_vec()),
            None => bail!("its shape {:?} depends on the data", fact.shape),
        }
    }

    /// Dimensions of operand `i`.
    pub(super) fn input_shape(&self, node: &TypedNode, i: usize) -> Result<Vec<usize>> {
        let outlet = *node
            .inputs
            .get(i)
            .ok_or_else(|| self.refuse("lacks an operand"))?;
        self.shape(outlet)
            .map_err(|e| self.refuse(format!("is not supported: {e}")))
    }

    /// Type of the first result, half precision widened.
    pub(super) fn result(&self, node: &TypedNode) -> Result<Type> {
        let outlet = OutletId::new(node.id, 0);
        let shape = self
            .shape(outlet)
            .map_err(|e| self.refuse(format!("is not supported: {e}")))?;
        let dtype =
            dtype(node.outputs[0].fact.datum_type).map_err(|e| self.refuse(format!("{e}")))?;
        Ok(Type::new(dtype, shape))
    }

    /// Operand `i` as a constant, if it is one.
    pub(super) fn constant(&self, node: &TypedNode, i: usize) -> Option<Arc<Tensor>> {
        match self.operands.get(node.inputs.get(i)?)? {
            Operand::Constant(t) => Some(t.clone()),
            Operand::Value(_) => None,
        }
    }

    /// Operand `i`, which must be a constant of numbers, as f32.
    pub(super) fn constant_f32(&self, node: &TypedNode, i: usize, name: &str) -> Result<Tensor> {
        let constant = self.constant(node, i).ok_or_else(|| {
            self.refuse(format!(
                "is not supported with {name} computed at run time: they must be constant"
            ))
        })?;
        match constant.datum_type() {
            DatumType::F32 | DatumType::F16 => constant
                .cast_to::<f32>()
                .map(|t| t.into_owned())
                .map_err(|e| self.refuse(format!("has bad {name}: {e}"))),
            other => Err(self.refuse(format!(
                "is not supported with {name} of type {other:?}: float32 is"
            ))),
        }
    }

    /// The operand as it is.
    pub(super) fn operand(&self, node: &TypedNode, i: usize) -> Result<Operand> {
        let outlet = node
            .inputs
            .get(i)
            .ok_or_else(|| self.refuse("lacks an operand"))?;
        self.operands
            .get(outlet)
            .cloned()
            .ok_or_else(|| self.refuse("reads a second result, which is not supported"))
    }

    /// Operand `i` as a value of the graph.
    pub(super) fn value(&mut self, node: &TypedNode, i: usize) -> Result<ValueId> {
        let outlet = *node
            .inputs
            .get(i)
            .ok_or_else(|| self.refuse("lacks an operand"))?;
        self.materialise(outlet)
            .map_err(|e| self.refuse(format!("is not supported: {e}")))
    }

    fn materialise(&mut self, outlet: OutletId) -> Result<ValueId> {
        let constant = match self.operands.get(&outlet) {
            Some(Operand::Value(id)) => return Ok(*id),
            Some(Operand::Constant(t)) => t.clone(),
            None => bail!("a second result is read, which only some operators have"),
        };
        if let Some(id) = self.constants.get(&outlet) {
            return Ok(*id);
        }
        let name = self.model.node(outlet.node).name.as_str();
        let name = name.strip_suffix(".0").unwrap_or(name).to_string();
        let id = self
            .graph
            .add_constant(&name, Constant::Dense(dense(&constant)?));
        self.constants.insert(outlet, id);
        Ok(id)
    }

    /// Adds a constant; its name is the current node's with a suffix.
    pub(super) fn add_constant(&mut self, suffix: &str, tensor: Dense) -> ValueId {
        self.graph.add_constant(
            &format!("{}.{suffix}", self.current.0),
            Constant::Dense(tensor),
        )
    }

    /// Type of a value.
    pub(super) fn ty(&self, id: ValueId) -> &Type {
        self.graph.ty(id)
    }

    /// The op that computes a value, and its first operand.
    pub(super) fn producer(&self, v: ValueId) -> Option<(Op, ValueId)> {
        let node = &self.graph.nodes[*self.producers.get(&v)?];
        Some((node.op, (*node.inputs.first()?)?))
    }

    /// Adds the node that the ONNX node is about: it gets the ONNX node's name,
    /// unless that is taken by another of its nodes.
    pub(super) fn emit(
        &mut self,
        op: impl Into<Op>,
        inputs: &[ValueId],
        ty: Type,
    ) -> Result<ValueId> {
        let op = op.into();
        let base = &self.current.0;
        let name = if self.taken.contains(base) {
            format!("{base}.{}", op.name())
        } else {
            base.clone()
        };
        self.emit_named(name, op, inputs, ty)
    }

    /// Adds a node that prepares or finishes: the ONNX node's name and a suffix.
    pub(super) fn emit_aux(
        &mut self,
        suffix: &str,
        op: impl Into<Op>,
        inputs: &[ValueId],
        ty: Type,
    ) -> Result<ValueId> {
        self.emit_named(format!("{}.{suffix}", self.current.0), op, inputs, ty)
    }

    fn emit_named(
        &mut self,
        wanted: String,
        op: impl Into<Op>,
        inputs: &[ValueId],
        ty: Type,
    ) -> Result<ValueId> {
        // A suffixed name must not meet another ONNX node's.
        let free = |b: &Self, n: &str| {
            !b.taken.contains(n) && (n == b.current.0 || !b.nodes.contains_key(n))
        };
        let mut name = wanted.clone();
        let mut n = 1;
        while !free(self, &name) {
            n += 1;
            name = format!("{wanted}.{n}");
        }
        let inputs: Vec<_> = inputs.iter().map(|&v| Some(v)).collect();
        let id = self.graph.emit_as(&name, op, &inputs, ty).map_err(|e| {
            self.refuse(format!(
                "is not supported: {}",
                super::onnx::one_line(&format!("{e:#}"))
            ))
        })?;
        self.taken.insert(name);
        self.producers.insert(id, self.graph.nodes.len() - 1);
        Ok(id)
    }

    /// A reshaped value; one of the shape asked for is returned as it is, and a
    /// reshape of a reshape becomes one.
    pub(super) fn reshape(&mut self, x: ValueId, shape: &[usize]) -> Result<ValueId> {
        let mut x = x;
        while let Some((Op::Reshape(_), before)) = self.producer(x) {
            x = before;
        }
        if self.ty(x).shape == shape {
            return Ok(x);
        }
        let ty = Type::new(self.ty(x).dtype, shape);
        self.emit_aux("reshape", Reshape {}, &[x], ty)
    }

    /// A transposed value: dimension `i` is dimension `perm[i]` of `x`. Neighbours are joined.
    pub(super) fn transpose(
        &mut self,
        x: ValueId,
        perm: &[usize],
        suffix: &str,
    ) -> Result<ValueId> {
        let (mut x, mut perm) = (x, perm.to_vec());
        if let Some((Op::Transpose(first), before)) = self.producer(x) {
            perm = perm.iter().map(|&p| first.perm[p] as usize).collect();
            x = before;
        }
        if perm.iter().enumerate().all(|(i, &p)| i == p) {
            return Ok(x);
        }
        let from = self.ty(x);
        let ty = Type::new(
            from.dtype,
            perm.iter().map(|&p| from.shape[p]).collect::<Vec<_>>(),
        );
        if perm.len() > MAX_RANK {
            return Err(self.refuse(format!(
                "is not supported: it transposes {} dimensions, at most {MAX_RANK} are",
                perm.len()
            )));
        }
        let mut wide = [0; MAX_RANK];
        for (w, &p) in wide.iter_mut().zip(&perm) {
            *w = p as u8;
        }
        self.emit_aux(suffix, Transpose { perm: wide }, &[x], ty)
    }
}

fn check_type(ty: &Type) -> Result<()> {
    ensure!(
        ty.shape.len() <= MAX_RANK,
        "{} dimensions {:?}, at most {MAX_RANK} are supported",
        ty.shape.len(),
        ty.shape
    );
    ensure!(
        !ty.shape.contains(&0),
        "an empty tensor {:?} is not supported",
        ty.shape
    );
    Ok(())
}
