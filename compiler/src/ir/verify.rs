//! The verifier: what every graph satisfies between passes.
//!
//! - every value is defined once and before its uses; node, input and output
//!   names are unique;
//! - results have the types that shape inference gives;
//! - constants hold as much as their shape says; weights of products are
//!   constants, ternary weights stand nowhere else, and quantised operands meet
//!   ternary weights only;
//! - a dynamic scale is the second result of the `quantize` node that computed
//!   it, defined before the values that it scales;
//! - a weight's codec fits what it stores.

#[cfg(test)]
mod tests;

use super::{Constant, Def, Graph, Node, Quant, Scale, Type, Value, ValueId};
use crate::ops;
use anyhow::{Result, anyhow, bail, ensure};
use std::collections::HashSet;
use ternrt::ops::Op;
use ternrt::{Codec, DType};

/// Checks a graph; the error names the node (or input, output, constant) and
/// what is wrong with it.
pub fn verify(graph: &Graph) -> Result<()> {
    let mut verifier = Verifier {
        graph,
        defined: vec![false; graph.values.len()],
        scales: HashSet::new(),
    };
    verifier.inputs()?;
    verifier.constants()?;
    let mut names = HashSet::new();
    for node in &graph.nodes {
        let name = &node.name;
        ensure!(
            names.insert(name.as_str()),
            "node {name:?}: another node has the same name"
        );
        verifier
            .node(node)
            .map_err(|e| anyhow!("node {name:?}: {e:#}"))?;
    }
    verifier.outputs()
}

struct Verifier<'g> {
    graph: &'g Graph,
    defined: Vec<bool>,
    /// Second results of `quantize` nodes so far.
    scales: HashSet<ValueId>,
}

impl Verifier<'_> {
    fn value(&self, id: ValueId) -> Result<&Value> {
        (self.graph.values.get(id.0)).ok_or_else(|| anyhow!("there is no value %{}", id.0))
    }

    fn define(&mut self, id: ValueId) -> Result<()> {
        let defined =
            (self.defined.get_mut(id.0)).ok_or_else(|| anyhow!("there is no value %{}", id.0))?;
        ensure!(!*defined, "%{} is defined twice", id.0);
        *defined = true;
        Ok(())
    }

    fn inputs(&mut self) -> Result<()> {
        let mut names = HashSet::new();
        for (position, (name, id)) in self.graph.inputs.iter().enumerate() {
            let mut check = |v: &mut Self| {
                ensure!(names.insert(name), "another input has the same name");
                let value = v.value(*id)?;
                ensure!(
                    matches!(value.def, Def::Input(p) if p == position),
                    "%{} is not defined as input {position}",
                    id.0
                );
                ensure!(value.codec.is_none(), "only constants have a codec");
                ops::check_size(&value.ty)?;
                static_quant(&value.ty)?;
                v.define(*id)
            };
            check(self).map_err(|e| anyhow!("input {name:?}: {e:#}"))?;
        }
        Ok(())
    }

    fn constants(&mut self) -> Result<()> {
        for (i, value) in self.graph.values.iter().enumerate() {
            if let Def::Const(constant) = &value.def {
                check_constant(value, constant)
                    .and_then(|()| self.define(ValueId(i)))
                    .map_err(|e| anyhow!("constant %{i} {:?}: {e:#}", value.name))?;
            }
        }
        Ok(())
    }

    fn node(&mut self, node: &Node) -> Result<()> {
        let mut types = Vec::with_capacity(node.inputs.len());
        for (i, id) in node.inputs.iter().enumerate() {
            let Some(id) = id else {
                types.push(None);
                continue;
            };
            let value = self.value(*id)?;
            ensure!(
                self.defined[id.0],
                "operand {i}, %{}, is used before it is defined",
                id.0
            );
            let scaled = matches!(&value.def, Def::Const(c) if matches!(**c, Constant::Scaled(_)));
            ensure!(
                !scaled || (i == 1 && ops::has_weights(&node.op)),
                "operand {i}, %{}, holds integers with scales: these are for the weights of conv2d, depthwise_conv2d and gemm",
                id.0
            );
            types.push(Some(&value.ty));
        }
        let results = (node.outputs.iter())
            .map(|id| Ok(&self.value(*id)?.ty))
            .collect::<Result<Vec<&Type>>>()?;
        let inferred = ops::infer(&node.op, &types, results.first().copied())?;
        ensure!(
            inferred.len() == results.len(),
            "{}: {} results, {} inferred",
            node.op.name(),
            results.len(),
            inferred.len()
        );
        for (inferred, stated) in inferred.iter().zip(&results) {
            ensure!(
                inferred == *stated,
                "{}: the result is {inferred}, not {stated}",
                node.op.name()
            );
        }
        if ops::has_weights(&node.op) {
            self.weights(node)?;
        }
        for id in &node.outputs {
            let value = self.value(*id)?;
            ensure!(
                matches!(value.def, Def::Node),
                "result %{} is an input or a constant",
                id.0
            );
            ensure!(
                value.codec.is_none(),
                "result %{}: only constants have a codec",
                id.0
            );
        }
        for id in &node.outputs {
            self.define(*id)?;
        }
        if let (Op::Quantize(_), [_, scale]) = (&node.op, &node.outputs[..]) {
            self.scales.insert(*scale);
        }
        for id in &node.outputs {
            if let Some(Quant {
                scale: Scale::Dynamic(scale),
                ..
            }) = self.value(*id)?.ty.quant
            {
                ensure!(
                    self.scales.contains(&scale),
                    "the scale %{} of %{} is no result of a quantize node before it",
                    scale.0,
                    id.0
                );
                ensure!(
                    !matches!(node.op, Op::Quantize(_)) || node.outputs.get(1) == Some(&scale),
                    "the scale %{} of %{} must be the node's second result",
                    scale.0,
                    id.0
                );
            }
        }
        Ok(())
    }

    fn weights(&self, node: &Node) -> Result<()> {
        let (Some(Some(x)), Some(Some(w))) = (node.inputs.first(), node.inputs.get(1)) else {
            return Ok(());
        };
        let Some(constant) = self.graph.constant(*w) else {
            bail!("operand 1, %{}: weights must be constant", w.0);
        };
        let scaled = matches!(**constant, Constant::Scaled(_));
        ensure!(
            scaled || self.graph.ty(*x).quant.is_none(),
            "the weights %{} are floats: the quantised operand {} needs integer ones",
            w.0,
            self.graph.ty(*x)
        );
        Ok(())
    }

    fn outputs(&self) -> Result<()> {
        ensure!(!self.graph.outputs.is_empty(), "the graph has no outputs");
        let mut names = HashSet::new();
        for (name, id) in &self.graph.outputs {
            let mut check = || {
                ensure!(names.insert(name), "another output has the same name");
                self.value(*id)?;
                ensure!(self.defined[id.0], "%{} is not defined", id.0);
                ensure!(
                    !matches!(
                        self.graph.constant(*id).map(|c| &**c),
                        Some(Constant::Scaled(_))
                    ),
                    "%{} holds weights with scales",
                    id.0
                );
                Ok(())
            };
            check().map_err(|e| anyhow!("output {name:?}: {e:#}"))?;
        }
        Ok(())
    }
}

fn static_quant(ty: &Type) -> Result<()> {
    let Some(Quant { qmax, scale }) = ty.quant else {
        return Ok(());
    };
    let most = match ty.dtype {
        DType::I8 => i8::MAX as i32,
        DType::I16 => i16::MAX as i32,
        _ => bail!("{ty}: only i8 and i16 are quantised"),
    };
    ensure!(
        (1..=most).contains(&qmax),
        "{ty}: qmax must lie in 1..={most}"
    );
    match scale {
        Scale::Static(s) if s.is_finite() && s > 0.0 => Ok(()),
        Scale::Static(s) => bail!("{ty}: the scale {s:?} must be positive and finite"),
        Scale::Dynamic(_) => bail!("{ty}: a dynamic scale needs a quantize node"),
    }
}

fn check_constant(value: &Value, constant: &Constant) -> Result<()> {
    ops::check_size(&value.ty)?;
    static_quant(&value.ty)?;
    let elements = value.ty.elements();
    let (dtype, shape, len) = match constant {
        Constant::Dense(t) => (t.dtype(), &t.shape, t.data.len()),
        Constant::Scaled(t) => (DType::F32, &t.shape, t.values.len()),
    };
    ensure!(
        dtype == value.ty.dtype && *shape == value.ty.shape,
        "holds {}{shape:?}, the type is {}",
        dtype.name(),
        value.ty
    );
    ensure!(
        len == elements,
        "holds {len} elements, the type is {}",
        value.ty
    );
    let codecs: &[Codec] = match constant {
        Constant::Dense(t) if t.dtype() == DType::F32 => &[Codec::Plain, Codec::F32, Codec::F16],
        Constant::Dense(_) => &[Codec::Plain],
        Constant::Scaled(t) => {
            ensure!(
                !t.values.contains(&i8::MIN),
                "holds -128, weights are -127 to 127"
            );
            let outputs = shape.first().copied().unwrap_or(0);
            ensure!(
                t.scale.len() == outputs && t.scale.iter().all(|s| s.is_finite()),
                "needs {outputs} finite scales, has {}",
                t.scale.len()
            );
            if t.is_ternary() {
                &[Codec::T2, Codec::T5, Codec::N12, Codec::N34, Codec::I8]
            } else {
                &[Codec::I8]
            }
        }
    };
    if let Some(codec) = value.codec {
        ensure!(
            codecs.contains(&codec),
            "the codec {} does not fit",
            codec.name()
        );
    }
    Ok(())
}
