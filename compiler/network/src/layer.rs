//! Layers: shape inference, parameters and cost of each.

use crate::Error;

/// A two-dimensional convolution with zero padding and square windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2d {
    /// Input channels.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
    /// Height and width of the window.
    pub kernel: usize,
    /// Distance between windows.
    pub stride: usize,
    /// Zeros on each side.
    pub padding: usize,
    /// Groups of channels that do not see each other; a divisor of both channel counts.
    pub groups: usize,
    /// Whether a bias is added.
    pub bias: bool,
}

impl Conv2d {
    /// Whether each input channel has a filter of its own.
    pub fn is_depthwise(&self) -> bool {
        self.groups > 1 && self.groups == self.inputs && self.inputs == self.outputs
    }
}

/// What a node computes. Images are `[channels, height, width]`, without the batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Layer {
    /// The network's input, an image of this shape; the first node and no other.
    Input([usize; 3]),
    /// A convolution.
    Conv2d(Conv2d),
    /// Normalises each channel by the mean and variance of the batch, at
    /// inference by their running averages: `(x - mean) / sqrt(variance + eps) *
    /// weight + bias`.
    BatchNorm2d {
        /// Channels.
        features: usize,
        /// Added to the variance.
        eps: f64,
        /// Share of a batch in the running averages.
        momentum: f64,
    },
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
    /// The sum of two values of the same shape.
    Add,
    /// The largest of each window; padding never is.
    MaxPool2d {
        /// Height and width of the window.
        kernel: usize,
        /// Distance between windows.
        stride: usize,
        /// On each side; at most half the window.
        padding: usize,
    },
    /// The mean of each channel: `[channels, 1, 1]`.
    GlobalAveragePool,
    /// An image as a vector, channels outermost.
    Flatten,
    /// While training, zeroes elements with this probability and divides the others by its complement.
    Dropout(f64),
    /// A matrix product.
    Linear {
        /// Elements of a vector in.
        inputs: usize,
        /// Elements of a vector out.
        outputs: usize,
        /// Whether a bias is added.
        bias: bool,
    },
}

/// What a parameter is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The factors of a convolution (`[outputs, inputs / groups, kernel,
    /// kernel]`) or of a matrix product (`[outputs, inputs]`).
    Weight,
    /// The bias of a convolution or of a matrix product: `[outputs]`.
    Bias,
    /// A batch norm's factor (its `weight`): `[features]`.
    NormWeight,
    /// A batch norm's summand (its `bias`): `[features]`.
    NormBias,
    /// A batch norm's average mean, which is measured and not trained: `[features]`.
    RunningMean,
    /// A batch norm's average variance, which is measured and not trained: `[features]`.
    RunningVar,
}

impl Role {
    /// The last part of the parameter's name, as PyTorch has it.
    pub fn suffix(self) -> &'static str {
        match self {
            Role::Weight | Role::NormWeight => "weight",
            Role::Bias | Role::NormBias => "bias",
            Role::RunningMean => "running_mean",
            Role::RunningVar => "running_var",
        }
    }

    /// Whether training changes it by its gradient; the others are measured.
    pub fn is_trained(self) -> bool {
        !matches!(self, Role::RunningMean | Role::RunningVar)
    }
}

/// An array that belongs to a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// `layer1.0.conv1.weight`.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// Dimensions, outermost first.
    pub shape: Vec<usize>,
}

impl Parameter {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it has no elements; never, in a checked network.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Layer {
    /// Name in messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Layer::Input(_) => "Input",
            Layer::Conv2d(_) => "Conv2d",
            Layer::BatchNorm2d { .. } => "BatchNorm2d",
            Layer::Relu => "Relu",
            Layer::Relu6 => "Relu6",
            Layer::Add => "Add",
            Layer::MaxPool2d { .. } => "MaxPool2d",
            Layer::GlobalAveragePool => "GlobalAveragePool",
            Layer::Flatten => "Flatten",
            Layer::Dropout(_) => "Dropout",
            Layer::Linear { .. } => "Linear",
        }
    }

    /// Whether it multiplies with weights that can be made ternary.
    pub fn has_weights(&self) -> bool {
        matches!(self, Layer::Conv2d(_) | Layer::Linear { .. })
    }

    /// How many values it reads.
    pub fn arity(&self) -> usize {
        match self {
            Layer::Input(_) => 0,
            Layer::Add => 2,
            _ => 1,
        }
    }

    /// The parameters' roles and shapes, in PyTorch's order.
    pub fn parameters(&self) -> Vec<(Role, Vec<usize>)> {
        let weighted = |shape: Vec<usize>, bias: bool| {
            let outputs = shape[0];
            let mut all = vec![(Role::Weight, shape)];
            if bias {
                all.push((Role::Bias, vec![outputs]));
            }
            all
        };
        match *self {
            Layer::Conv2d(c) => weighted(
                vec![c.outputs, c.inputs / c.groups.max(1), c.kernel, c.kernel],
                c.bias,
            ),
            Layer::Linear {
                inputs,
                outputs,
                bias,
            } => weighted(vec![outputs, inputs], bias),
            Layer::BatchNorm2d { features, .. } => [
                Role::NormWeight,
                Role::NormBias,
                Role::RunningMean,
                Role::RunningVar,
            ]
            .map(|role| (role, vec![features]))
            .to_vec(),
            _ => Vec::new(),
        }
    }

    /// Multiplications of an image of the result's shape; only weights count.
    pub fn macs(&self, result: &[usize]) -> u64 {
        let product = |dims: &[usize]| dims.iter().map(|&d| d as u64).product::<u64>();
        match *self {
            Layer::Conv2d(c) => {
                let window = c.inputs / c.groups.max(1) * c.kernel * c.kernel;
                product(result) * window as u64
            }
            Layer::Linear { inputs, .. } => product(result) * inputs as u64,
            _ => 0,
        }
    }

    /// The result's shape.
    ///
    /// # Errors
    /// What does not fit, without the node's name.
    pub(crate) fn infer(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, Error> {
        if inputs.len() != self.arity() {
            return Err(Error(format!(
                "reads {} values, not {}",
                self.arity(),
                inputs.len()
            )));
        }
        let positive = |what: &str, values: &[usize]| {
            if values.contains(&0) {
                return Err(Error(format!("{what} of 0")));
            }
            Ok(())
        };
        match *self {
            Layer::Input(shape) => {
                positive("a dimension", &shape)?;
                Ok(shape.to_vec())
            }
            Layer::Conv2d(c) => {
                let [channels, height, width] = image(inputs[0])?;
                positive(
                    "a size",
                    &[c.inputs, c.outputs, c.kernel, c.stride, c.groups],
                )?;
                expect("input channels", c.inputs, channels)?;
                if !c.inputs.is_multiple_of(c.groups) || !c.outputs.is_multiple_of(c.groups) {
                    return Err(Error(format!(
                        "{} groups do not divide {} input and {} output channels",
                        c.groups, c.inputs, c.outputs
                    )));
                }
                let size = |extent| windows(extent, c.kernel, c.stride, c.padding);
                Ok(vec![c.outputs, size(height)?, size(width)?])
            }
            Layer::BatchNorm2d {
                features,
                eps,
                momentum,
            } => {
                expect("features", features, image(inputs[0])?[0])?;
                if !(eps.is_finite() && eps > 0.0 && (0.0..=1.0).contains(&momentum)) {
                    return Err(Error(format!("eps {eps}, momentum {momentum}")));
                }
                Ok(inputs[0].to_vec())
            }
            Layer::Relu | Layer::Relu6 => Ok(inputs[0].to_vec()),
            Layer::Dropout(share) => {
                if !(0.0..1.0).contains(&share) {
                    return Err(Error(format!("a probability of {share}")));
                }
                Ok(inputs[0].to_vec())
            }
            Layer::Add => {
                if inputs[0] != inputs[1] {
                    return Err(Error(format!("adds {:?} and {:?}", inputs[0], inputs[1])));
                }
                Ok(inputs[0].to_vec())
            }
            Layer::MaxPool2d {
                kernel,
                stride,
                padding,
            } => {
                let [channels, height, width] = image(inputs[0])?;
                positive("a size", &[kernel, stride])?;
                if padding > kernel / 2 {
                    return Err(Error(format!(
                        "padding {padding} is more than half the window of {kernel}"
                    )));
                }
                let size = |extent| windows(extent, kernel, stride, padding);
                Ok(vec![channels, size(height)?, size(width)?])
            }
            Layer::GlobalAveragePool => Ok(vec![image(inputs[0])?[0], 1, 1]),
            Layer::Flatten => Ok(vec![inputs[0].iter().product()]),
            Layer::Linear {
                inputs: from,
                outputs,
                ..
            } => {
                positive("a size", &[from, outputs])?;
                match inputs[0] {
                    [length] => expect("inputs", from, *length)?,
                    other => return Err(Error(format!("reads {other:?}, not a vector"))),
                }
                Ok(vec![outputs])
            }
        }
    }
}

fn image(shape: &[usize]) -> Result<[usize; 3], Error> {
    shape
        .try_into()
        .map_err(|_| Error(format!("reads {shape:?}, not [channels, height, width]")))
}

fn expect(what: &str, wanted: usize, found: usize) -> Result<(), Error> {
    if wanted == found {
        Ok(())
    } else {
        Err(Error(format!("takes {wanted} {what}, is given {found}")))
    }
}

/// Windows along one dimension.
fn windows(extent: usize, kernel: usize, stride: usize, padding: usize) -> Result<usize, Error> {
    match (extent + 2 * padding).checked_sub(kernel) {
        Some(rest) => Ok(rest / stride + 1),
        None => Err(Error(format!(
            "a window of {kernel} does not fit {extent} with padding {padding}"
        ))),
    }
}
