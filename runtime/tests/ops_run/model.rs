//! Models of one op.

use crate::array::Array;
use crate::support::{Aligned, Writer, le_bytes};
use ternrt::format::NONE;
use ternrt::format::tensor::Tensor;
use ternrt::kernels::Matrix;
use ternrt::ops::Op;
use ternrt::{Caps, Codec, DType, Error, Model, Options, ParallelFor, Session};

/// An operand or a result.
#[derive(Clone, Debug)]
pub struct Operand {
    /// The elements; of a result, only dtype and dimensions count.
    pub array: Array,
    codec: Codec,
    /// The bytes in the file or the arena.
    bytes: Vec<u8>,
    constant: bool,
    scales: Option<Scales>,
}

#[derive(Clone, Debug, PartialEq)]
struct Scales {
    values: Vec<f32>,
    /// 0 for those of weights.
    qmax: u32,
    constant: bool,
}

impl Operand {
    /// An input (or result) of the model.
    pub fn of(array: Array) -> Operand {
        let bytes = array.bytes();
        Operand {
            array,
            codec: Codec::Plain,
            bytes,
            constant: false,
            scales: None,
        }
    }

    /// As a constant of the file.
    pub fn constant(mut self) -> Operand {
        self.constant = true;
        self
    }

    /// Quantised, with a scale that is a constant or an input of the model.
    /// Operands and results with equal scales share the tensor.
    pub fn quantised(mut self, scale: f32, qmax: u32, constant: bool) -> Operand {
        self.scales = Some(Scales {
            values: vec![scale],
            qmax,
            constant,
        });
        self
    }

    /// Packed weights.
    pub fn weights(
        array: &Array,
        codec: Codec,
        matrix: Matrix,
        scales: Option<Vec<f32>>,
    ) -> Operand {
        let mut bytes = vec![0; codec.packed_len(&matrix).unwrap()];
        if codec.is_ternary() {
            let trits: Vec<i8> = array.values.iter().map(|&v| v as i8).collect();
            codec.pack_i8(&matrix, &trits, &mut bytes).unwrap();
        } else {
            let values: Vec<f32> = array.values.iter().map(|&v| v as f32).collect();
            codec.pack_f32(&matrix, &values, &mut bytes).unwrap();
        }
        let scales = scales.map(|values| Scales {
            values,
            qmax: 0,
            constant: true,
        });
        Operand {
            array: array.clone(),
            codec,
            bytes,
            constant: true,
            scales,
        }
    }

    /// The scale; 1.0 where there is none.
    pub fn scale(&self) -> f32 {
        self.channel_scale(0)
    }

    /// The scale of an output of the weights; 1.0 where there is none.
    pub fn channel_scale(&self, output: usize) -> f32 {
        self.scales.as_ref().map_or(1.0, |s| s.values[output])
    }

    pub fn qmax(&self) -> u32 {
        self.scales.as_ref().map_or(0, |s| s.qmax)
    }
}

/// One op with its operands and results.
pub struct Case {
    pub op: Op,
    inputs: Vec<Option<Operand>>,
    outputs: Vec<Operand>,
}

impl Case {
    pub fn new(
        op: impl Into<Op>,
        inputs: impl IntoIterator<Item = Option<Operand>>,
        outputs: impl IntoIterator<Item = Operand>,
    ) -> Case {
        Case {
            op: op.into(),
            inputs: inputs.into_iter().collect(),
            outputs: outputs.into_iter().collect(),
        }
    }

    /// The results with these instruction sets, on as many threads.
    ///
    /// # Panics
    /// If the file is refused.
    pub fn run(&self, caps: Caps, threads: usize) -> Result<Vec<Array>, Error> {
        let (file, inputs) = self.file();
        let model = Model::new(&file).unwrap_or_else(|error| panic!("{}: {error}", self.op));
        let parallel = &Backwards(threads);
        let mut arena = Aligned::zeros(model.arena_len_for(caps, threads), 0);
        // What a run finds in the arena must not matter.
        arena.fill(0xA5);
        let mut session = Session::with_options(&model, &mut arena, Options { caps, parallel })?;
        for (i, bytes) in inputs.iter().enumerate() {
            session.input_mut(i)?.copy_from_slice(bytes);
        }
        session.run(0)?;
        let array = |(i, o): (usize, &Operand)| {
            let Array { dtype, dims, .. } = &o.array;
            Ok(Array::from_bytes(*dtype, dims, session.output(i)?))
        };
        self.outputs.iter().enumerate().map(array).collect()
    }

    /// The case as a `.tern` file, and the contents of its inputs: the operands
    /// that are not constant, then the scales that are not. Its outputs are the
    /// results.
    pub fn file(&self) -> (Aligned, Vec<Vec<u8>>) {
        let mut file = File::default();
        let ids = |o: &Option<Operand>| o.as_ref().map_or(NONE, |o| file.operand(o));
        let inputs: Vec<u32> = self.inputs.iter().map(ids).collect();
        let mut outputs: Vec<u32> = Vec::new();
        for result in &self.outputs {
            match outputs.first() {
                None => outputs.push(file.add(result)),
                // A second result is the first one's scale tensor.
                Some(&first) => {
                    let scale = file.writer.tensors[first as usize].scale;
                    file.inputs.retain(|(id, _)| *id != scale);
                    outputs.push(scale);
                }
            }
        }
        file.writer.op(self.op, &inputs, &outputs);
        let (ids, contents): (Vec<u32>, Vec<Vec<u8>>) = file.inputs.into_iter().unzip();
        file.writer.entry("main", &ids, &outputs);
        (file.writer.finish(), contents)
    }
}

/// A file under construction.
#[derive(Default)]
struct File {
    writer: Writer,
    scales: Vec<(Scales, u32)>,
    /// Tensor and contents.
    inputs: Vec<(u32, Vec<u8>)>,
}

impl File {
    /// The tensor that holds these scales.
    fn scale(&mut self, scales: &Scales) -> u32 {
        if let Some((_, id)) = self.scales.iter().find(|(s, _)| s == scales) {
            return *id;
        }
        let (dims, bytes) = ([scales.values.len() as u32], le_bytes(&scales.values));
        let id = if scales.constant {
            self.writer.constant("", DType::F32, &dims, &bytes)
        } else {
            let id = self.writer.arena("", DType::F32, &dims);
            self.inputs.push((id, bytes));
            id
        };
        self.scales.push((scales.clone(), id));
        id
    }

    /// A tensor with its scale.
    fn add(&mut self, o: &Operand) -> u32 {
        let scale = o.scales.as_ref().map_or(NONE, |s| self.scale(s));
        let dims: Vec<u32> = o.array.dims.iter().map(|&d| d as u32).collect();
        let id = if o.constant {
            self.writer.constant("", o.array.dtype, &dims, &o.bytes)
        } else {
            self.writer.arena("", o.array.dtype, &dims)
        };
        let tensor = &mut self.writer.tensors[id as usize];
        (tensor.codec, tensor.scale, tensor.qmax) = (o.codec, scale, o.qmax());
        id
    }

    /// A tensor that is an input of the entry point unless it is constant.
    fn operand(&mut self, o: &Operand) -> u32 {
        let id = self.add(o);
        if !o.constant {
            // The entry point sees plain integers in the same place: the scale
            // of a quantised input would have to be a constant.
            let plain = Tensor {
                scale: NONE,
                qmax: 0,
                non_negative: false,
                ..self.writer.tensors[id as usize]
            };
            self.writer.tensors.push(plain);
            let input = self.writer.tensors.len() as u32 - 1;
            self.inputs.push((input, o.bytes.clone()));
        }
        id
    }
}

/// Runs tasks one after the other, the last one first.
struct Backwards(usize);

impl ParallelFor for Backwards {
    fn threads(&self) -> usize {
        self.0
    }

    fn run(&self, tasks: usize, f: &(dyn Fn(usize) + Sync)) {
        assert!(tasks <= self.0);
        (0..tasks).rev().for_each(f);
    }
}

/// Calls `check` with the results on each level of instruction sets. More
/// threads must give the same bits.
#[track_caller]
pub fn each_level(case: &Case, check: impl Fn(Caps, &[Array])) {
    for caps in Caps::detect().levels() {
        let run = |threads| {
            let results = case.run(caps, threads);
            results.unwrap_or_else(|error| panic!("{} on {caps}: {error}", case.op))
        };
        let results = run(1);
        check(caps, &results);
        for threads in [2, 5] {
            for (many, one) in run(threads).iter().zip(&results) {
                assert_eq!(
                    many.bytes(),
                    one.bytes(),
                    "{} on {caps}, {threads} threads",
                    case.op
                );
            }
        }
    }
}
