//! Shapes of the inputs: the file's, completed by the caller's.

use super::ImportOptions;
use anyhow::{Result, bail, ensure};
use std::collections::{HashMap, HashSet};
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension::Value};
use tract_onnx::pb::type_proto::Value as TypeValue;
use tract_onnx::pb::{GraphProto, ModelProto, TensorShapeProto, ValueInfoProto};

/// The graph's inputs, without initializers.
pub(super) fn inputs(graph: &GraphProto) -> Vec<&ValueInfoProto> {
    let initializers: HashSet<&str> = graph.initializer.iter().map(|t| t.name.as_str()).collect();
    graph
        .input
        .iter()
        .filter(|i| !initializers.contains(i.name.as_str()))
        .collect()
}

/// Writes a fixed shape into every input of the file.
pub(super) fn fix_shapes(proto: &mut ModelProto, options: &ImportOptions) -> Result<()> {
    let Some(graph) = proto.graph.as_mut() else {
        return Ok(());
    };
    let shapes = resolve(graph, options)?;
    for input in &mut graph.input {
        let Some(shape) = shapes.get(&input.name) else {
            continue;
        };
        if let Some(TypeValue::TensorType(tensor)) =
            input.r#type.as_mut().and_then(|t| t.value.as_mut())
        {
            let dim = |&d: &usize| Dimension {
                value: Some(Value::DimValue(d as i64)),
                ..Dimension::default()
            };
            tensor.shape = Some(TensorShapeProto {
                dim: shape.iter().map(dim).collect(),
            });
        }
    }
    Ok(())
}

fn resolve(graph: &GraphProto, options: &ImportOptions) -> Result<HashMap<String, Vec<usize>>> {
    let inputs = inputs(graph);
    let mut given: HashMap<&str, &[usize]> = HashMap::new();
    for (name, shape) in &options.input_shapes {
        if !inputs.iter().any(|i| i.name == *name) {
            let names: Vec<_> = inputs.iter().map(|i| format!("\"{}\"", i.name)).collect();
            bail!(
                "--input-shape {name}: the model has no input \"{name}\"; its inputs are {}",
                names.join(", ")
            );
        }
        ensure!(
            given.insert(name, shape).is_none_or(|other| other == shape),
            "--input-shape {name}: two different shapes are given"
        );
        ensure!(
            shape.iter().all(|&d| (1..=u32::MAX as usize).contains(&d)),
            "--input-shape {name}={}: a dimension must be at least 1",
            times(shape)
        );
    }
    let dims: Vec<Option<&[Dimension]>> = inputs
        .iter()
        .map(|i| dimensions(i))
        .collect::<Result<_>>()?;
    let named = named_dimensions(&inputs, &dims, &given)?;
    let mut shapes = HashMap::new();
    for (input, dims) in inputs.iter().zip(dims) {
        let name = &input.name;
        let shape = match (dims, given.get(name.as_str())) {
            (None, Some(shape)) => shape.to_vec(),
            (None, None) => bail!(
                "input \"{name}\" has no shape in the file: give it, for example --input-shape {name}=1x3x224x224"
            ),
            (Some(dims), Some(shape)) => {
                compare(name, dims, shape)?;
                shape.to_vec()
            }
            (Some(dims), None) => fixed(name, dims, &named)?,
        };
        shapes.insert(name.clone(), shape);
    }
    Ok(shapes)
}

fn dimensions(input: &ValueInfoProto) -> Result<Option<&[Dimension]>> {
    match input.r#type.as_ref().and_then(|t| t.value.as_ref()) {
        Some(TypeValue::TensorType(tensor)) => Ok(tensor.shape.as_ref().map(|s| &s.dim[..])),
        None => bail!(
            "input \"{}\" is not a tensor: sequences and maps are not supported",
            input.name
        ),
    }
}

/// The size in the file, if it is fixed.
fn size(dim: &Dimension) -> Option<usize> {
    match dim.value {
        Some(Value::DimValue(v)) if v > 0 => Some(v as usize),
        _ => None,
    }
}

fn symbol(dim: &Dimension) -> Option<&str> {
    match &dim.value {
        Some(Value::DimParam(s)) if !s.is_empty() => Some(s),
        _ => None,
    }
}

/// Sizes of the file's named dimensions (`batch`) where the caller's shapes give them.
fn named_dimensions<'p>(
    inputs: &[&'p ValueInfoProto],
    dims: &[Option<&'p [Dimension]>],
    given: &HashMap<&str, &[usize]>,
) -> Result<HashMap<&'p str, usize>> {
    let mut named = HashMap::new();
    for (input, dims) in inputs.iter().zip(dims) {
        let (Some(dims), Some(shape)) = (dims, given.get(input.name.as_str())) else {
            continue;
        };
        for (dim, &d) in dims.iter().zip(*shape) {
            let Some(s) = symbol(dim) else { continue };
            let other = *named.entry(s).or_insert(d);
            ensure!(
                other == d,
                "--input-shape {}={}: dimension \"{s}\" is {d} here and {other} elsewhere",
                input.name,
                times(shape)
            );
        }
    }
    Ok(named)
}

fn compare(name: &str, dims: &[Dimension], shape: &[usize]) -> Result<()> {
    ensure!(
        dims.len() == shape.len(),
        "--input-shape {name}={}: input \"{name}\" has {} dimensions in the file, not {}",
        times(shape),
        dims.len(),
        shape.len()
    );
    for (i, (dim, &d)) in dims.iter().zip(shape).enumerate() {
        if let Some(fixed) = size(dim) {
            ensure!(
                fixed == d,
                "--input-shape {name}={}: dimension {i} of input \"{name}\" is {fixed} in the file, not {d}",
                times(shape)
            );
        }
    }
    Ok(())
}

fn fixed(name: &str, dims: &[Dimension], named: &HashMap<&str, usize>) -> Result<Vec<usize>> {
    let known = |d: &Dimension| size(d).or_else(|| named.get(symbol(d)?).copied());
    if let Some(shape) = dims.iter().map(known).collect() {
        return Ok(shape);
    }
    let open = dims.iter().position(|d| known(d).is_none()).unwrap_or(0);
    let which = match symbol(&dims[open]) {
        Some(s) => format!("dimension {open} (\"{s}\")"),
        None => format!("dimension {open}"),
    };
    let example: Vec<usize> = dims
        .iter()
        .enumerate()
        .map(|(i, d)| known(d).unwrap_or_else(|| likely(i, dims.len())))
        .collect();
    bail!(
        "input \"{name}\": {which} is dynamic: give the shape, for example --input-shape {name}={}",
        times(&example)
    )
}

/// A plausible size for the example in the error: an image of a batch of one.
fn likely(axis: usize, rank: usize) -> usize {
    match (axis, rank) {
        (0, _) => 1,
        (1, 4) => 3,
        (_, 4) => 224,
        _ => 16,
    }
}

fn times(shape: &[usize]) -> String {
    shape
        .iter()
        .map(|d| d.to_string())
        .collect::<Vec<_>>()
        .join("x")
}
