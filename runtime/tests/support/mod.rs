//! Writes small `.tern` files by hand, for the tests of this crate.
#![allow(dead_code)]

use std::ops::{Deref, DerefMut};
use ternrt::format::entry::{self, Entry};
use ternrt::format::golden::{self, Item};
use ternrt::format::header::{Header, Section};
use ternrt::format::op::OpRecord;
use ternrt::format::tensor::{Place, Tensor};
use ternrt::format::{NONE, SECTION_ALIGN, checksum, metadata};
use ternrt::kernels::Matrix;
use ternrt::kernels::eltwise::{BinaryKind, Unary, UnaryKind};
use ternrt::ops::Op;
use ternrt::ops::table::{BinaryOp, Concat, Dequantize, Gemm, Quantize, Reshape, UnaryOp};
use ternrt::{Codec, DType};

/// Bytes at a multiple of 64, or a stated distance behind one.
pub struct Aligned {
    storage: Vec<u8>,
    start: usize,
    len: usize,
}

impl Aligned {
    pub fn new(bytes: &[u8]) -> Aligned {
        let mut aligned = Aligned::zeros(bytes.len(), 0);
        aligned.copy_from_slice(bytes);
        aligned
    }

    /// `len` zeros, `past` bytes behind a multiple of 64.
    pub fn zeros(len: usize, past: usize) -> Aligned {
        let storage = vec![0; len + 64 + past];
        let start = storage.as_ptr().align_offset(64) + past;
        Aligned {
            storage,
            start,
            len,
        }
    }
}

impl Deref for Aligned {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.storage[self.start..self.start + self.len]
    }
}

impl DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.storage[self.start..self.start + self.len]
    }
}

pub fn le_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

fn pad(bytes: &mut Vec<u8>, to: usize) {
    bytes.resize(bytes.len().next_multiple_of(to), 0);
}

/// Collects the pieces of a file; fields are open for tests that spoil them.
#[derive(Default)]
pub struct Writer {
    pub strings: String,
    pub tensors: Vec<Tensor>,
    pub ops: Vec<u8>,
    pub op_count: u32,
    pub entries: Vec<(Entry, Vec<u32>)>,
    pub data: Vec<u8>,
    pub cases: Vec<Vec<u8>>,
    pub metadata: Vec<(String, String)>,
    pub arena: u64,
}

impl Writer {
    fn name(&mut self, name: &str) -> (u32, u32) {
        let offset = self.strings.len() as u32;
        self.strings.push_str(name);
        (offset, name.len() as u32)
    }

    fn tensor(&mut self, name: &str, place: Place, dtype: DType, dims: &[u32], offset: u64) -> u32 {
        let (name_offset, name_len) = self.name(name);
        let mut padded = [1; 6];
        padded[..dims.len()].copy_from_slice(dims);
        self.tensors.push(Tensor {
            place,
            dtype,
            codec: Codec::Plain,
            rank: dims.len() as u8,
            dims: padded,
            offset,
            len: dims.iter().map(|&d| d as u64).product::<u64>() * dtype.size() as u64,
            scale: NONE,
            qmax: 0,
            non_negative: false,
            name_offset,
            name_len,
        });
        self.tensors.len() as u32 - 1
    }

    /// A tensor in the arena that shares no byte with another.
    pub fn arena(&mut self, name: &str, dtype: DType, dims: &[u32]) -> u32 {
        let offset = self.arena;
        let id = self.tensor(name, Place::Arena, dtype, dims, offset);
        self.arena = (offset + self.tensors[id as usize].len).next_multiple_of(64);
        id
    }

    /// A constant; its length comes from the bytes.
    pub fn constant(&mut self, name: &str, dtype: DType, dims: &[u32], bytes: &[u8]) -> u32 {
        pad(&mut self.data, SECTION_ALIGN);
        let offset = self.data.len() as u64;
        self.data.extend_from_slice(bytes);
        let id = self.tensor(name, Place::Data, dtype, dims, offset);
        self.tensors[id as usize].len = bytes.len() as u64;
        id
    }

    /// Ternary weights `[n, k]`, trits row by row, with a scale an output.
    pub fn weights(
        &mut self,
        codec: Codec,
        [n, k]: [usize; 2],
        trits: &[i8],
        scale: &[f32],
    ) -> u32 {
        let matrix = Matrix {
            groups: 1,
            outputs: n,
            taps: 1,
            channels: k,
        };
        let mut packed = vec![0; codec.packed_len(&matrix).unwrap()];
        codec.pack_i8(&matrix, trits, &mut packed).unwrap();
        let scale = self.constant("", DType::F32, &[n as u32], &le_bytes(scale));
        let w = self.constant("w", DType::F32, &[n as u32, k as u32], &packed);
        self.tensors[w as usize].codec = codec;
        self.tensors[w as usize].scale = scale;
        w
    }

    /// Makes a tensor stand for real numbers.
    pub fn quantise(&mut self, id: u32, scale: u32, qmax: u32) {
        let tensor = &mut self.tensors[id as usize];
        (tensor.scale, tensor.qmax) = (scale, qmax);
    }

    pub fn op(&mut self, op: impl Into<Op>, inputs: &[u32], outputs: &[u32]) {
        let op = op.into();
        let at = self.ops.len();
        let len = OpRecord::encoded_len(&op, inputs.len(), outputs.len());
        self.ops.resize(at + len, 0);
        OpRecord::encode(&op, inputs, outputs, &mut self.ops[at..]).unwrap();
        self.op_count += 1;
    }

    /// Ends an entry point that has all ops since the last one.
    pub fn entry(&mut self, name: &str, inputs: &[u32], outputs: &[u32]) {
        let (name_offset, name_len) = self.name(name);
        let (first_op, ops_offset) = self.entries.last().map_or((0, 0), |(e, _)| {
            (e.first_op + e.op_count, e.ops_offset + e.ops_len)
        });
        let entry = Entry {
            name_offset,
            name_len,
            first_op,
            op_count: self.op_count - first_op,
            ops_offset,
            ops_len: self.ops.len() as u32 - ops_offset,
            ids_offset: 0,
            inputs: inputs.len() as u32,
            outputs: outputs.len() as u32,
        };
        self.entries.push((entry, [inputs, outputs].concat()));
    }

    pub fn case(&mut self, entry: u32, tolerance: f32, items: &[Item<'_>]) {
        let mut case = vec![0; golden::CASE_HEAD];
        for item in items {
            let at = case.len();
            case.resize(at + item.encoded_len().unwrap(), 0);
            item.encode(&mut case[at..]).unwrap();
        }
        let head = golden::encode_case_head(case.len() as u64, entry, tolerance);
        case[..golden::CASE_HEAD].copy_from_slice(&head);
        self.cases.push(case);
    }

    pub fn metadata(&mut self, key: &str, value: &str) {
        self.metadata.push((key.into(), value.into()));
    }

    fn entries_section(&self) -> Vec<u8> {
        let mut section = Entry::encode_head(self.entries.len() as u32).to_vec();
        let mut ids_offset = entry::HEAD + Entry::LEN * self.entries.len();
        for (entry, ids) in &self.entries {
            let ids_offset_field = ids_offset as u32;
            let entry = Entry {
                ids_offset: ids_offset_field,
                ..*entry
            };
            section.extend(entry.encode());
            ids_offset += 4 * ids.len();
        }
        for (_, ids) in &self.entries {
            section.extend(ids.iter().flat_map(|id| id.to_le_bytes()));
        }
        section
    }

    fn metadata_section(&self) -> Vec<u8> {
        if self.metadata.is_empty() {
            return Vec::new();
        }
        let mut section = metadata::encode_head(self.metadata.len() as u32).to_vec();
        for (key, value) in &self.metadata {
            let at = section.len();
            section.resize(
                at + metadata::pair_len(key.len(), value.len()).unwrap(),
                0xFF,
            );
            metadata::encode_pair(key, value, &mut section[at..]).unwrap();
        }
        section
    }

    fn golden_section(&self) -> Vec<u8> {
        if self.cases.is_empty() {
            return Vec::new();
        }
        let head = golden::encode_head(self.cases.len() as u32).to_vec();
        [head, self.cases.concat()].concat()
    }

    pub fn finish(&self) -> Aligned {
        let tensors: Vec<u8> = self.tensors.iter().flat_map(|t| t.encode()).collect();
        let sections = [
            self.strings.clone().into_bytes(),
            tensors,
            self.ops.clone(),
            self.entries_section(),
            Vec::new(),
            self.data.clone(),
            self.golden_section(),
            self.metadata_section(),
        ];
        let lens = sections.each_ref().map(|s| s.len() as u64);
        let header = Header::layout(lens, self.arena).unwrap();
        let mut file = Aligned::zeros(header.file_len as usize, 0);
        file[..Header::LEN].copy_from_slice(&header.encode());
        for (section, bytes) in Section::ALL.into_iter().zip(&sections) {
            let at = header.section(section).offset as usize;
            file[at..at + bytes.len()].copy_from_slice(bytes);
        }
        checksum::seal(&mut file).unwrap();
        file
    }
}

pub fn relu() -> UnaryOp {
    UnaryOp {
        function: Unary::new(UnaryKind::Relu),
    }
}

pub fn add() -> BinaryOp {
    BinaryOp {
        function: BinaryKind::Add,
        activation: Unary::IDENTITY,
    }
}

pub fn gemm(function: UnaryKind) -> Gemm {
    Gemm {
        activation: Unary::new(function),
    }
}

/// `y = relu(w x)` with `x [1, 3]` and `w` of 2 outputs: the documentation's example.
pub fn small_gemm() -> Writer {
    let mut w = Writer::default();
    let x = w.arena("x", DType::F32, &[1, 3]);
    let weights = w.weights(Codec::T2, [2, 3], &[0, -1, 1, -1, 0, 0], &[1.0; 2]);
    let y = w.arena("y", DType::F32, &[1, 2]);
    w.op(gemm(UnaryKind::Relu), &[x, weights], &[y]);
    w.entry("main", &[x], &[y]);
    w.metadata("name", "gemm");
    w
}

/// `y = reshape(relu(x + b))` with `x [2, 3]`, `b [3]` and `y [6]`, a second
/// entry point that joins two inputs, and a third that quantises and back.
pub fn example() -> Writer {
    let mut w = Writer::default();
    let x = w.arena("x", DType::F32, &[2, 3]);
    let b = w.constant("b", DType::F32, &[3], &le_bytes(&[1.0, -2.0, 0.5]));
    let sum = w.arena("", DType::F32, &[2, 3]);
    let positive = w.arena("", DType::F32, &[2, 3]);
    let y = w.arena("y", DType::F32, &[6]);
    w.op(add(), &[x, b], &[sum]);
    w.op(relu(), &[sum], &[positive]);
    w.op(Reshape {}, &[positive], &[y]);
    w.entry("main", &[x], &[y]);

    let first = w.arena("first", DType::I64, &[1, 2]);
    let second = w.arena("zweite-ä", DType::I64, &[2, 2]);
    let joined = w.arena("joined", DType::I64, &[3, 2]);
    w.op(Concat { axis: 0 }, &[first, second], &[joined]);
    w.entry("join", &[first, second], &[joined, b]);

    let scale = w.arena("scale", DType::F32, &[1]);
    let q = w.arena("q", DType::I8, &[2, 3]);
    w.quantise(q, scale, 127);
    let back = w.arena("back", DType::F32, &[2, 3]);
    w.op(Quantize {}, &[x], &[q, scale]);
    w.op(Dequantize {}, &[q], &[back]);
    w.entry("round_trip", &[x], &[back]);

    let ones = le_bytes(&[1.0; 6]);
    let expected = le_bytes(&[2.0, 0.0, 1.5, 2.0, 0.0, 1.5]);
    w.case(0, 0.0, &[Item::Raw(&ones), Item::Raw(&expected)]);
    let same: Vec<u8> = {
        let mut bytes = vec![0; 24];
        golden::fill(DType::F32, 7, &mut bytes);
        bytes
    };
    w.case(2, 0.005, &[Item::Generated(7), Item::Raw(&same)]);
    w.metadata("name", "example");
    w.metadata(
        "op_names",
        "add\nrelu\nreshape\nconcat\nquantize\ndequantize",
    );
    w.metadata("labels", "");
    w
}
