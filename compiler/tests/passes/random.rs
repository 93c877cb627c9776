//! Random graphs as the importer writes them, with the layout change around
//! every op over images: the passes must change no output, the plan must be
//! sound, and the file on the scalar kernels must give the interpreter's bits.

use super::{assert_same, inputs};
use proptest::prelude::*;
use ternc::host::Host;
use ternc::ir::{Constant, Data, Graph, Scaled, Tensor, Type, ValueId, verify};
use ternc::ops;
use ternc::passes::{self, ActivationMode, PASSES};
use ternc::pipeline::{self, CompileOptions, Silent};
use ternrt::kernels::eltwise::{BinaryKind, Unary, UnaryKind};
use ternrt::kernels::movement::{PadMode, ResizeCoordinates, ResizeMode};
use ternrt::kernels::reduce::ReduceKind;
use ternrt::ops::table::*;
use ternrt::{Caps, DType, Model};

/// SplitMix64 (Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.bits() % n as u64) as usize
    }

    fn unit(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}

/// Builds a graph; all values are NCHW images of batch 1.
struct Builder {
    g: Graph,
    random: Random,
    /// Whether weights may be ternary.
    ternary: bool,
}

impl Builder {
    fn name(&self) -> String {
        format!("n{}", self.g.nodes.len())
    }

    fn node(&mut self, op: impl Into<Op>, operands: &[ValueId]) -> ValueId {
        let operands: Vec<_> = operands.iter().map(|&v| Some(v)).collect();
        self.g.emit(&self.name(), op, &operands).unwrap()
    }

    fn node_as(&mut self, op: impl Into<Op>, x: ValueId, shape: &[usize]) -> ValueId {
        let ty = Type::new(DType::F32, shape);
        let name = self.name();
        self.g.emit_as(&name, op, &[Some(x)], ty).unwrap()
    }

    fn constant(&mut self, shape: &[usize]) -> ValueId {
        let len = shape.iter().product();
        let values = (0..len).map(|_| self.random.unit() + 1.5).collect();
        let tensor = Tensor::f32(shape.to_vec(), values);
        self.g.add_constant("c", Constant::Dense(tensor))
    }

    fn weights(&mut self, shape: &[usize]) -> ValueId {
        let len: usize = shape.iter().product();
        let size = 1.0 / (len as f32 / shape[0] as f32).sqrt();
        let constant = if self.ternary && self.random.below(3) > 0 {
            let trits = (0..len).map(|_| self.random.below(3) as i8 - 1).collect();
            let scale = |_| size * (1.2 + 0.3 * self.random.unit());
            Constant::Scaled(Scaled {
                shape: shape.to_vec(),
                values: trits,
                scale: (0..shape[0]).map(scale).collect(),
            })
        } else {
            let values = (0..len).map(|_| self.random.unit() * size).collect();
            Constant::Dense(Tensor::f32(shape.to_vec(), values))
        };
        self.g.add_constant("w", constant)
    }

    fn shape(&self, x: ValueId) -> [usize; 4] {
        self.g.ty(x).shape.as_slice().try_into().unwrap()
    }

    fn nhwc(&mut self, x: ValueId) -> ValueId {
        let perm = [0, 2, 3, 1, 0, 0];
        self.node(Transpose { perm }, &[x])
    }

    fn nchw(&mut self, x: ValueId) -> ValueId {
        let perm = [0, 3, 1, 2, 0, 0];
        self.node(Transpose { perm }, &[x])
    }

    fn conv(&mut self, x: ValueId) -> ValueId {
        let [_, c, h, w] = self.shape(x);
        let x = self.nhwc(x);
        let k = 1 + self.random.below(3.min(h).min(w));
        let pads = [0; 4].map(|_: u16| self.random.below(k) as u16);
        let stride = [1 + self.random.below(2) as u16, 1];
        let kernel = [k as u16; 2];
        let y = if self.random.below(3) == 0 {
            let op = DepthwiseConv2d {
                kernel,
                stride,
                dilation: [1, 1],
                pads,
                activation: Unary::IDENTITY,
            };
            let weights = self.weights(&[c, k, k, 1]);
            self.node(op, &[x, weights])
        } else {
            let group = if c % 2 == 0 {
                1 + self.random.below(2)
            } else {
                1
            };
            let out = group * (1 + self.random.below(4));
            let transposed = self.random.below(6) == 0;
            let op = Conv2d {
                kernel,
                stride,
                dilation: [1, 1],
                pads: if transposed { [0; 4] } else { pads },
                group: group as u32,
                transposed,
                activation: Unary::IDENTITY,
            };
            let weights = self.weights(&[out, k, k, c / group]);
            if self.random.below(2) == 0 {
                let bias = self.constant(&[out]);
                self.node(op, &[x, weights, bias])
            } else {
                self.node(op, &[x, weights])
            }
        };
        self.nchw(y)
    }

    /// A step on one of the values, and perhaps another of its shape.
    fn step(&mut self, x: ValueId, values: &[ValueId]) -> ValueId {
        let [_, c, h, w] = self.shape(x);
        let function = |kind| BinaryOp {
            function: kind,
            activation: Unary::IDENTITY,
        };
        match self.random.below(16) {
            0..=4 => self.conv(x),
            5 => {
                let functions = [
                    Unary::new(UnaryKind::Relu),
                    Unary::new(UnaryKind::HardSwish),
                    Unary::new(UnaryKind::Silu),
                    Unary {
                        kind: UnaryKind::Clip,
                        alpha: 0.0,
                        beta: 6.0,
                    },
                ];
                let function = functions[self.random.below(functions.len())];
                self.node(UnaryOp { function }, &[x])
            }
            6 | 7 => {
                let shapes = [vec![c, 1, 1], vec![1, c, 1, 1], vec![], vec![h, w]];
                let shape = &shapes[self.random.below(shapes.len())];
                let constant = self.constant(shape);
                let kinds = [
                    BinaryKind::Add,
                    BinaryKind::Sub,
                    BinaryKind::Mul,
                    BinaryKind::Div,
                ];
                let kind = kinds[self.random.below(kinds.len())];
                let mut operands = [x, constant];
                if kind != BinaryKind::Div && self.random.below(3) == 0 {
                    operands.reverse();
                }
                self.node(function(kind), &operands)
            }
            8 | 9 => {
                let same: Vec<ValueId> = values
                    .iter()
                    .copied()
                    .filter(|&v| self.g.ty(v) == self.g.ty(x))
                    .collect();
                let other = same[self.random.below(same.len())];
                self.node(function(BinaryKind::Add), &[x, other])
            }
            10 => {
                let window = |k: usize| 1 + (k > 1) as u16;
                let op = MaxPool {
                    kernel: [window(h), window(w)],
                    stride: [window(h), 1],
                    dilation: [1, 1],
                    pads: [0; 4],
                };
                let x = self.nhwc(x);
                let y = self.node(op, &[x]);
                self.nchw(y)
            }
            11 => self.node(Concat { axis: 1 }, &[x, x]),
            12 => {
                let mut start = [0; 6];
                start[1] = self.random.below(c) as u32;
                start[2] = self.random.below(h) as u32;
                let shape = [1, c - start[1] as usize, h - start[2] as usize, w];
                self.node_as(
                    Slice {
                        start,
                        step: [1; 6],
                    },
                    x,
                    &shape,
                )
            }
            13 => {
                let value = self.random.below(2) as f32;
                let (mode, before) = (PadMode::Constant, [0, 0, 1, 0, 0, 0]);
                let op = Pad {
                    before,
                    mode,
                    value,
                };
                self.node_as(op, x, &[1, c, h + 1, w + 1])
            }
            14 => {
                // Squeeze and excitation.
                let function_ = ReduceKind::Mean;
                let mean = self.node(
                    Reduce {
                        function: function_,
                        axes: 0b1100,
                    },
                    &[x],
                );
                let flat = self.node_as(Reshape {}, mean, &[1, c]);
                let weights = self.weights(&[c, c]);
                let activation = Unary::new(UnaryKind::Sigmoid);
                let gate = self.node(Gemm { activation }, &[flat, weights]);
                let gate = self.node_as(Reshape {}, gate, &[1, c, 1, 1]);
                self.node(function(BinaryKind::Mul), &[x, gate])
            }
            _ if h * w <= 64 => {
                let x = self.nhwc(x);
                let op = Resize {
                    scale: [2.0, 1.0],
                    mode: ResizeMode::Linear,
                    coordinates: ResizeCoordinates::HalfPixel,
                };
                let y = self.node(op, &[x]);
                self.nchw(y)
            }
            _ => self.node(
                Softmax {
                    axis: 1,
                    log: false,
                },
                &[x],
            ),
        }
    }
}

fn graph(seed: u64, steps: usize, ternary: bool) -> Graph {
    let mut b = Builder {
        g: Graph::default(),
        random: Random(seed),
        ternary,
    };
    let x = b.g.add_input("x", Type::new(DType::F32, [1, 4, 7, 6]));
    let mut values = vec![x];
    for _ in 0..steps {
        // Mostly the newest value, so that chains form.
        let back = b.random.below(values.len()).min(b.random.below(3));
        let y = b.step(values[values.len() - 1 - back], &values);
        let [_, c, h, w] = b.shape(y);
        if c <= 16 && h * w <= 256 {
            values.push(y);
        }
    }
    let last = values[values.len() - 1];
    let [_, c, h, w] = b.shape(last);
    let axes = 0b1100;
    let function = ReduceKind::Mean;
    let mean = b.node_as(Reduce { function, axes }, last, &[1, c]);
    let weights = b.weights(&[3, c]);
    let activation = Unary::IDENTITY;
    let y = b.node(Gemm { activation }, &[mean, weights]);
    let flat = b.node_as(Reshape {}, last, &[c * h, w]);
    b.g.outputs = vec![
        ("y".into(), y),
        ("image".into(), last),
        ("flat".into(), flat),
    ];
    b.g
}

/// Outputs of a file on the scalar kernels.
fn run(bytes: &[u8], x: &[Tensor]) -> Vec<Vec<u8>> {
    let mut words = vec![0u64; bytes.len().div_ceil(8)];
    for (word, chunk) in words.iter_mut().zip(bytes.chunks(8)) {
        let mut eight = [0; 8];
        eight[..chunk.len()].copy_from_slice(chunk);
        *word = u64::from_ne_bytes(eight);
    }
    // SAFETY: the words hold at least that many initialised bytes.
    let aligned = unsafe { std::slice::from_raw_parts(words.as_ptr().cast(), bytes.len()) };
    let model = Model::new(aligned).unwrap();
    let mut host = Host::with_caps(&model, 1, Caps::SCALAR).unwrap();
    let mut session = host.session().unwrap();
    for (i, tensor) in x.iter().enumerate() {
        let bytes = tensor.data.to_le_bytes();
        session.input_mut(i).unwrap().copy_from_slice(&bytes);
    }
    session.run(0).unwrap();
    (0..model.outputs(0).count())
        .map(|i| session.output(i).unwrap().to_vec())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Each pass alone, and all of them to the end.
    #[test]
    fn passes_change_no_output(seed in any::<u64>(), steps in 1usize..14) {
        let before = graph(seed, steps, false);
        verify(&before).unwrap();
        let x = inputs(&before, seed % 1000);
        let expected = ops::run_graph(&before, &x).unwrap();
        for pass in PASSES {
            let mut after = before.clone();
            passes::apply(pass, &mut after).unwrap();
            let found = ops::run_graph(&after, &x).unwrap();
            assert_same(&format!("{} of\n{before}", pass.name), &expected, &found, 1e-4);
        }
        let mut after = before.clone();
        passes::optimise(&mut after).unwrap();
        let found = ops::run_graph(&after, &x).unwrap();
        assert_same(&format!("optimised\n{before}"), &expected, &found, 1e-4);
        prop_assert!(after.nodes.len() <= before.nodes.len());
    }

    /// The whole way to the runtime, in every mode.
    #[test]
    fn files_give_the_interpreters_bits(seed in any::<u64>(), steps in 1usize..10) {
        let graph = graph(seed, steps, true);
        for activations in [ActivationMode::F32, ActivationMode::I16, ActivationMode::I8, ActivationMode::I7] {
            let options = CompileOptions { activations, ..CompileOptions::default() };
            let compiled = pipeline::compile_graph(graph.clone(), "random", &options, &Silent).unwrap();
            let x = inputs(&compiled.graph, seed % 1000);
            let expected = ops::run_graph(&compiled.graph, &x).unwrap();
            let found = run(&compiled.bytes, &x);
            for ((tensor, bytes), (name, _)) in expected.iter().zip(&found).zip(&compiled.graph.outputs) {
                let bytes = Data::from_le_bytes(tensor.dtype(), bytes).unwrap();
                let same = match (&tensor.data, &bytes) {
                    // Which NaN it is may differ.
                    (Data::F32(a), Data::F32(b)) => a.iter().zip(b)
                        .all(|(a, b)| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())),
                    (a, b) => a == b,
                };
                prop_assert!(same, "{name:?} in mode {activations:?} of\n{}", compiled.graph);
            }
        }
    }
}
