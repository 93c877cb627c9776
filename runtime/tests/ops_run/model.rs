//! Models of one op.

use crate::array::Array;
use ternrt::format::checksum::seal;
use ternrt::format::entry::{Entry, HEAD};
use ternrt::format::header::{Header, Section};
use ternrt::format::op::OpRecord;
use ternrt::format::tensor::{Place, Tensor};
use ternrt::format::{NONE, SECTION_ALIGN};
use ternrt::kernels::Matrix;
use ternrt::ops::Op;
use ternrt::{Caps, Codec, DType, Error};

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
            codec.pack_trits(&matrix, &trits, &mut bytes).unwrap();
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

    /// The results with these instruction sets.
    pub fn run(&self, caps: Caps) -> Result<Vec<Array>, Error> {
        let _ = (caps, self.file());
        unimplemented!()
    }

    /// The case as a `.tern` file. Its inputs are the operands that are not
    /// constant, then the scales that are not; its outputs are the results.
    fn file(&self) -> File {
        let mut file = File::default();
        let inputs: Vec<u32> = self
            .inputs
            .iter()
            .map(|o| o.as_ref().map_or(NONE, |o| file.operand(o, Role::Operand)))
            .collect();
        let mut outputs: Vec<u32> = Vec::new();
        for (i, result) in self.outputs.iter().enumerate() {
            // A second result is the first one's scale.
            let id = if i == 0 {
                file.operand(result, Role::Result)
            } else {
                file.tensors[outputs[0] as usize].scale
            };
            outputs.push(id);
            file.entry_outputs.push(id);
            file.entry_inputs.retain(|(input, _)| *input != id);
        }
        file.write(&self.op, &inputs, &outputs);
        file
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Role {
    Operand,
    Result,
}

/// A file under construction.
#[derive(Default)]
struct File {
    tensors: Vec<Tensor>,
    scales: Vec<(Scales, u32)>,
    data: Vec<u8>,
    arena: u64,
    /// Tensor and contents.
    entry_inputs: Vec<(u32, Vec<u8>)>,
    entry_outputs: Vec<u32>,
    bytes: Vec<u8>,
}

impl File {
    fn add(&mut self, tensor: Tensor) -> u32 {
        self.tensors.push(tensor);
        self.tensors.len() as u32 - 1
    }

    /// A tensor with room in its place.
    fn place(
        &mut self,
        place: Place,
        dtype: DType,
        codec: Codec,
        dims: &[usize],
        bytes: &[u8],
    ) -> Tensor {
        let offset = match place {
            Place::Data => {
                self.data
                    .resize(self.data.len().next_multiple_of(SECTION_ALIGN), 0);
                let offset = self.data.len();
                self.data.extend(bytes);
                offset as u64
            }
            Place::Arena => {
                let offset = self.arena;
                self.arena = (offset + bytes.len() as u64).next_multiple_of(SECTION_ALIGN as u64);
                offset
            }
        };
        Tensor {
            place,
            dtype,
            codec,
            rank: dims.len() as u8,
            dims: std::array::from_fn(|i| dims.get(i).map_or(1, |&d| d as u32)),
            offset,
            len: bytes.len() as u64,
            scale: NONE,
            qmax: 0,
            name_offset: 0,
            name_len: 0,
        }
    }

    /// The tensor that holds these scales.
    fn scale(&mut self, scales: &Scales) -> u32 {
        if let Some((_, id)) = self.scales.iter().find(|(s, _)| s == scales) {
            return *id;
        }
        let bytes: Vec<u8> = scales.values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let place = if scales.constant {
            Place::Data
        } else {
            Place::Arena
        };
        let tensor = self.place(
            place,
            DType::F32,
            Codec::Plain,
            &[scales.values.len()],
            &bytes,
        );
        let id = self.add(tensor);
        self.scales.push((scales.clone(), id));
        if !scales.constant {
            self.entry_inputs.push((id, bytes));
        }
        id
    }

    fn operand(&mut self, o: &Operand, role: Role) -> u32 {
        let scale = o.scales.as_ref().map(|s| self.scale(s));
        let place = if o.constant {
            Place::Data
        } else {
            Place::Arena
        };
        let tensor = self.place(place, o.array.dtype, o.codec, &o.array.dims, &o.bytes);
        if role == Role::Operand && !o.constant {
            // The entry point sees plain integers: the scale of its input would have to be a constant.
            let id = self.add(tensor);
            self.entry_inputs.push((id, o.bytes.clone()));
        }
        self.add(Tensor {
            scale: scale.unwrap_or(NONE),
            qmax: o.qmax(),
            ..tensor
        })
    }

    fn write(&mut self, op: &Op, inputs: &[u32], outputs: &[u32]) {
        let strings = b"main";
        let tensors: Vec<u8> = self.tensors.iter().flat_map(|t| t.encode()).collect();
        let mut ops = vec![0; OpRecord::encoded_len(op, inputs.len(), outputs.len())];
        OpRecord::encode(op, inputs, outputs, &mut ops).unwrap();
        let entry = Entry {
            name_len: strings.len() as u32,
            op_count: 1,
            ops_len: ops.len() as u32,
            ids_offset: (HEAD + Entry::LEN) as u32,
            inputs: self.entry_inputs.len() as u32,
            outputs: self.entry_outputs.len() as u32,
            ..Entry::default()
        };
        let ids = self
            .entry_inputs
            .iter()
            .map(|(id, _)| id)
            .chain(&self.entry_outputs);
        let mut entries = [&Entry::encode_head(1)[..], &entry.encode()].concat();
        entries.extend(ids.flat_map(|id| id.to_le_bytes()));
        let sections: [&[u8]; Section::COUNT] =
            [strings, &tensors, &ops, &entries, &[], &self.data, &[], &[]];
        let header = Header::layout(sections.map(|s| s.len() as u64), self.arena).unwrap();
        self.bytes = vec![0; header.file_len as usize];
        self.bytes[..Header::LEN].copy_from_slice(&header.encode());
        for (span, section) in header.sections.iter().zip(sections) {
            self.bytes[span.offset as usize..][..section.len()].copy_from_slice(section);
        }
        seal(&mut self.bytes).unwrap();
    }
}

/// Calls `check` with the results on each level of instruction sets.
#[track_caller]
pub fn each_level(case: &Case, check: impl Fn(Caps, &[Array])) {
    let caps = Caps::SCALAR;
    let results = case
        .run(caps)
        .unwrap_or_else(|error| panic!("{} on {caps:?}: {error}", case.op));
    check(caps, &results);
}
