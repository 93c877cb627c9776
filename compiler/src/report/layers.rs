//! The layers of a compiled model: its ops with weights, and these as numbers.

use anyhow::{Context, Result, anyhow};
use std::collections::HashSet;
use ternrt::format::tensor::Tensor;
use ternrt::kernels::Matrix;
use ternrt::ops::Op;
use ternrt::{Codec, Model};

/// An op with weights, of the first entry point.
#[derive(Clone, Debug)]
pub struct Layer<'m> {
    /// The op's number.
    pub number: usize,
    /// The op's name; its number where the file has no names.
    pub name: String,
    /// The op and its attributes.
    pub op: Op,
    /// Shape of the weights.
    pub matrix: Matrix,
    /// The weights' record.
    pub weights: Tensor,
    /// The record of the weights' scales, where they have any.
    pub scale: Option<Tensor>,
    /// The bias's record.
    pub bias: Option<Tensor>,
    /// The result's record.
    pub output: Tensor,
    /// Multiply-accumulates.
    pub macs: u64,
    /// Whether an earlier layer has the same weights.
    pub shared: bool,
    model: Model<'m>,
}

/// The name of op `number`, or its number in words.
pub fn op_name(model: &Model<'_>, number: usize) -> String {
    match model.op_name(number) {
        Some(name) if !name.is_empty() => name.to_owned(),
        _ => format!("op {number}"),
    }
}

/// A name for charts, which have little room: PyTorch's exporter repeats each
/// module's name in the next one, as in `/layer1/layer1.0/conv1/Conv`, and ends
/// with the operator. That becomes `layer1.0/conv1`.
pub fn short_name(name: &str) -> String {
    let parts: Vec<&str> = name.split('/').filter(|p| !p.is_empty()).collect();
    let [modules @ .., _operator] = parts.as_slice() else {
        return name.to_owned();
    };
    let repeated = |i: usize| {
        let next = modules.get(i + 1).and_then(|n| n.strip_prefix(modules[i]));
        next.is_some_and(|rest| rest.starts_with('.'))
    };
    let kept = (0..modules.len()).filter(|&i| !repeated(i));
    let short: Vec<&str> = kept.map(|i| modules[i]).collect();
    if short.is_empty() {
        name.to_owned()
    } else {
        short.join("/")
    }
}

/// All layers, in the order in which they run.
pub fn layers<'m>(model: &Model<'m>) -> Vec<Layer<'m>> {
    let mut seen = HashSet::new();
    let mut layers = Vec::new();
    for step in model.ops(0) {
        let (Some(matrix), Some(&weights), Ok(&output)) = (
            step.record.op.weights(&step.operands),
            step.operands.optional(1),
            step.operands.output(0),
        ) else {
            continue;
        };
        layers.push(Layer {
            number: step.number,
            name: op_name(model, step.number),
            op: step.record.op,
            matrix,
            weights,
            scale: step.operands.input_scale(1).copied(),
            bias: step.operands.optional(2).copied(),
            output,
            macs: step.record.op.macs(&step.operands),
            shared: !seen.insert(weights.offset),
            model: *model,
        });
    }
    layers
}

/// The f32 elements of a constant.
pub fn constant_f32(model: &Model<'_>, tensor: &Tensor) -> Result<Vec<f32>> {
    let bytes = model
        .constant(tensor)
        .context("a constant is not in the file")?;
    let elements = bytes.chunks_exact(4);
    Ok(elements
        .map(|c| f32::from_le_bytes([c[0], c[1], c[2], c[3]]))
        .collect())
}

impl Layer<'_> {
    /// Number of weights.
    pub fn weight_count(&self) -> u64 {
        self.matrix.len().unwrap_or(0) as u64
    }

    /// Number of biases.
    pub fn bias_count(&self) -> u64 {
        self.bias.map_or(0, |b| b.elements()) as u64
    }

    /// Number of output channels, over all groups.
    pub fn outputs(&self) -> usize {
        self.matrix.groups * self.matrix.outputs
    }

    fn packed(&self) -> Result<&[u8]> {
        let constant = self.model.constant(&self.weights);
        constant.with_context(|| format!("layer {:?} has no constant weights", self.name))
    }

    fn invalid(&self) -> anyhow::Error {
        anyhow!(
            "layer {:?} has packed weights that cannot be read; see `ternc verify`",
            self.name
        )
    }

    /// The integers of ternary and 8-bit weights, an output after the other;
    /// `None` for weights that are floats.
    ///
    /// # Errors
    /// Packed codes that stand for no trit.
    pub fn integers(&self) -> Result<Option<Vec<i8>>> {
        if self.weights.codec.largest().is_none() {
            return Ok(None);
        }
        let mut values = vec![0; self.matrix.len().unwrap_or(0)];
        let codec = self.weights.codec;
        codec
            .unpack_i8(&self.matrix, self.packed()?, &mut values)
            .map_err(|_| self.invalid())?;
        Ok(Some(values))
    }

    /// The scale of each output; 1 where there are none.
    ///
    /// # Errors
    /// As [`values`](Self::values).
    pub fn scales(&self) -> Result<Vec<f32>> {
        match &self.scale {
            Some(scale) => constant_f32(&self.model, scale),
            None => Ok(vec![1.0; self.outputs()]),
        }
    }

    /// The weights as the numbers that they stand for.
    ///
    /// # Errors
    /// Weights that cannot be unpacked.
    pub fn values(&self) -> Result<Vec<f32>> {
        let scales = self.scales()?;
        let mut values = vec![0.0; self.matrix.len().unwrap_or(0)];
        if self.weights.codec == Codec::Plain {
            return Err(self.invalid());
        }
        self.weights
            .codec
            .unpack_f32(&self.matrix, self.packed()?, &mut values)
            .map_err(|_| self.invalid())?;
        let per_output = (self.matrix.taps * self.matrix.channels).max(1);
        for (row, scale) in values.chunks_mut(per_output).zip(scales) {
            row.iter_mut().for_each(|v| *v *= scale);
        }
        Ok(values)
    }

    /// The bias of each output, if there is one.
    ///
    /// # Errors
    /// A bias that is not in the file.
    pub fn biases(&self) -> Result<Option<Vec<f32>>> {
        self.bias.map(|b| constant_f32(&self.model, &b)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::short_name;

    #[test]
    fn exporters_names_become_short() {
        for (name, short) in [
            ("/layer1/layer1.0/conv1/Conv", "layer1.0/conv1"),
            (
                "/features/features.1/conv/conv.0/conv.0.0/Conv",
                "features.1/conv.0.0",
            ),
            ("/fc/Gemm", "fc"),
            ("layer1.0.conv1", "layer1.0.conv1"),
            ("node_conv2d_3", "node_conv2d_3"),
            ("/", "/"),
            ("", ""),
        ] {
            assert_eq!(short_name(name), short);
        }
    }
}
