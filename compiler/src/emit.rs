//! The file, through the runtime's own record encoders, and its way to the disk.

use crate::ir::{Constant, Def, Graph, Scale, ValueId};
use crate::pack::{self, pack_weights};
use crate::plan::Plan;
use crate::signs::non_negative;
use anyhow::{Context, Result, anyhow};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use ternrt::Codec;
use ternrt::DType;
use ternrt::format::entry::{self, Entry};
use ternrt::format::golden::{self, Item};
use ternrt::format::header::{Header, Section};
use ternrt::format::metadata;
use ternrt::format::op::OpRecord;
use ternrt::format::tensor::{Place, Tensor};
use ternrt::format::{NONE, SECTION_ALIGN, checksum};

/// A golden case to store: seeds of the inputs, bytes of the outputs.
#[derive(Clone, Debug, PartialEq)]
pub struct GoldenCase {
    /// One seed an input, for [`golden::fill`].
    pub seeds: Vec<u64>,
    /// The outputs, little-endian.
    pub outputs: Vec<Vec<u8>>,
    /// Allowed error, relative to an output's largest magnitude.
    pub tolerance: f32,
}

/// Writes a planned graph as the bytes of a `.tern` file.
///
/// # Errors
/// What cannot be packed, or does not fit the format's fields.
pub fn emit(
    graph: &Graph,
    plan: &Plan,
    metadata: &BTreeMap<String, String>,
    golden: &[GoldenCase],
) -> Result<Vec<u8>> {
    let mut writer = Writer {
        graph,
        plan,
        strings: Vec::new(),
        tensors: Vec::new(),
        data: Vec::new(),
        ids: HashMap::new(),
        scales: HashMap::new(),
        non_negative: non_negative(graph),
    };
    let mut ops = Vec::new();
    let (mut op_count, entry_inputs) = (0u32, writer.named(&graph.inputs)?);
    for &n in &plan.steps {
        let node = &graph.nodes[n];
        if let Some((id, matrix)) = pack::matrix(graph, node) {
            writer.weights(id, &matrix)?;
        }
        let inputs: Vec<u32> = node
            .inputs
            .iter()
            .map(|i| i.map_or(Ok(NONE), |id| writer.tensor(id)))
            .collect::<Result<_>>()?;
        let outputs: Vec<u32> = node
            .outputs
            .iter()
            .map(|&id| writer.tensor(id))
            .collect::<Result<_>>()?;
        let mut record = vec![0; OpRecord::encoded_len(&node.op, inputs.len(), outputs.len())];
        OpRecord::encode(&node.op, &inputs, &outputs, &mut record)
            .map_err(|e| anyhow!("node {:?}: {e}", node.name))?;
        ops.extend(record);
        op_count += 1;
    }
    let entry_outputs = writer.named(&graph.outputs)?;

    let name_offset = writer.string("main")?;
    let entry = Entry {
        name_offset,
        name_len: 4,
        first_op: 0,
        op_count,
        ops_offset: 0,
        ops_len: u32::try_from(ops.len()).context("the op section is over 4 GiB")?,
        ids_offset: (entry::HEAD + Entry::LEN) as u32,
        inputs: entry_inputs.len() as u32,
        outputs: entry_outputs.len() as u32,
    };
    let mut entries = Entry::encode_head(1).to_vec();
    entries.extend(entry.encode());
    entries.extend(
        entry_inputs
            .iter()
            .chain(&entry_outputs)
            .flat_map(|id| id.to_le_bytes()),
    );

    let tensors: Vec<u8> = writer.tensors.iter().flat_map(|t| t.encode()).collect();
    let sections: [(Section, Vec<u8>); 6] = [
        (Section::Strings, writer.strings),
        (Section::Tensors, tensors),
        (Section::Ops, ops),
        (Section::Entries, entries),
        (Section::Golden, golden_section(golden)?),
        (Section::Metadata, metadata_section(metadata)?),
    ];
    let mut lens = [0u64; Section::COUNT];
    for (section, bytes) in &sections {
        lens[*section as usize] = bytes.len() as u64;
    }
    lens[Section::Data as usize] = writer.data.len() as u64;
    let header = Header::layout(lens, plan.arena_bytes).map_err(|e| anyhow!("{e}"))?;
    let len = usize::try_from(header.file_len)
        .context("the file is larger than this machine's memory")?;
    let mut file = vec![0u8; len];
    file[..Header::LEN].copy_from_slice(&header.encode());
    let mut put = |section: Section, bytes: &[u8]| {
        let at = header.section(section).offset as usize;
        file[at..at + bytes.len()].copy_from_slice(bytes);
    };
    sections
        .iter()
        .for_each(|(section, bytes)| put(*section, bytes));
    put(Section::Data, &writer.data);
    checksum::seal(&mut file).map_err(|e| anyhow!("{e}"))?;
    Ok(file)
}

struct Writer<'g> {
    graph: &'g Graph,
    plan: &'g Plan,
    strings: Vec<u8>,
    tensors: Vec<Tensor>,
    data: Vec<u8>,
    /// The record of each value that has one.
    ids: HashMap<ValueId, u32>,
    /// Constants that hold a static scale, by its bits.
    scales: HashMap<u32, u32>,
    /// Which values are never negative.
    non_negative: Vec<bool>,
}

impl Writer<'_> {
    fn string(&mut self, text: &str) -> Result<u32> {
        let at = u32::try_from(self.strings.len()).context("names are over 4 GiB")?;
        self.strings.extend(text.as_bytes());
        Ok(at)
    }

    fn push(&mut self, tensor: Tensor) -> u32 {
        self.tensors.push(tensor);
        (self.tensors.len() - 1) as u32
    }

    /// Appends constant bytes; their offset in the data section.
    fn store(&mut self, bytes: &[u8]) -> u64 {
        self.data
            .resize(self.data.len().next_multiple_of(SECTION_ALIGN), 0);
        let at = self.data.len() as u64;
        self.data.extend(bytes);
        at
    }

    fn constant(&mut self, dtype: DType, shape: &[usize], bytes: &[u8]) -> Result<u32> {
        let offset = self.store(bytes);
        let (dims, rank) = dims(shape)?;
        Ok(self.push(Tensor {
            place: Place::Data,
            dtype,
            codec: Codec::Plain,
            rank,
            dims,
            offset,
            len: bytes.len() as u64,
            scale: NONE,
            qmax: 0,
            non_negative: false,
            name_offset: 0,
            name_len: 0,
        }))
    }

    /// The records of inputs or outputs, each with its ONNX name.
    fn named(&mut self, ports: &[(String, ValueId)]) -> Result<Vec<u32>> {
        let mut seen: Vec<u32> = Vec::new();
        for (name, id) in ports {
            let mut index = self.tensor(*id)?;
            if self.tensors[index as usize].name_len != 0 {
                // One value under two names: the same bytes, another record.
                let copy = self.tensors[index as usize];
                index = self.push(copy);
            }
            let offset = self.string(name)?;
            let tensor = &mut self.tensors[index as usize];
            tensor.name_offset = offset;
            tensor.name_len = name.len() as u32;
            seen.push(index);
        }
        Ok(seen)
    }

    /// Packs weights, with their scales, before an op refers to them.
    fn weights(&mut self, id: ValueId, matrix: &ternrt::kernels::Matrix) -> Result<()> {
        if self.ids.contains_key(&id) {
            return Ok(());
        }
        let bytes = pack_weights(self.graph, id, matrix)?;
        let value = self.graph.value(id);
        let scale = match self.graph.constant(id).map(|c| c.as_ref()) {
            Some(Constant::Scaled(t)) => {
                let bytes: Vec<u8> = t.scale.iter().flat_map(|s| s.to_le_bytes()).collect();
                self.constant(DType::F32, &[t.scale.len()], &bytes)?
            }
            _ => NONE,
        };
        let offset = self.store(&bytes);
        let (dims, rank) = dims(&value.ty.shape)?;
        let index = self.push(Tensor {
            place: Place::Data,
            dtype: DType::F32,
            codec: value.codec.unwrap_or(Codec::F32),
            rank,
            dims,
            offset,
            len: bytes.len() as u64,
            scale,
            qmax: 0,
            non_negative: false,
            name_offset: 0,
            name_len: 0,
        });
        self.ids.insert(id, index);
        Ok(())
    }

    /// The record of a value.
    fn tensor(&mut self, id: ValueId) -> Result<u32> {
        if let Some(&index) = self.ids.get(&id) {
            return Ok(index);
        }
        let value = self.graph.value(id);
        let index = match &value.def {
            Def::Const(constant) => match constant.as_ref() {
                Constant::Dense(t) => self.constant(t.dtype(), &t.shape, &t.data.to_le_bytes())?,
                Constant::Scaled(_) => {
                    return Err(anyhow!(
                        "ternary constant {:?} is no layer's weights",
                        value.name
                    ));
                }
            },
            _ => {
                let block = self
                    .plan
                    .block(id)
                    .with_context(|| format!("value %{} has no place in the arena", id.0))?;
                let (scale, qmax) = match value.ty.quant {
                    None => (NONE, 0),
                    Some(q) => (self.scale(q.scale)?, q.qmax as u32),
                };
                let (dims, rank) = dims(&value.ty.shape)?;
                self.push(Tensor {
                    place: Place::Arena,
                    dtype: value.ty.dtype,
                    codec: Codec::Plain,
                    rank,
                    dims,
                    offset: block.offset,
                    len: value.ty.bytes() as u64,
                    scale,
                    qmax,
                    non_negative: qmax > 0 && self.non_negative[id.0],
                    name_offset: 0,
                    name_len: 0,
                })
            }
        };
        self.ids.insert(id, index);
        Ok(index)
    }

    fn scale(&mut self, scale: Scale) -> Result<u32> {
        match scale {
            Scale::Dynamic(id) => self.tensor(id),
            Scale::Static(s) => {
                if let Some(&index) = self.scales.get(&s.to_bits()) {
                    return Ok(index);
                }
                let index = self.constant(DType::F32, &[1], &s.to_le_bytes())?;
                self.scales.insert(s.to_bits(), index);
                Ok(index)
            }
        }
    }
}

fn dims(shape: &[usize]) -> Result<([u32; 6], u8)> {
    let mut dims = [1u32; 6];
    let used = dims
        .get_mut(..shape.len())
        .with_context(|| format!("shape {shape:?} has more than 6 dimensions"))?;
    for (to, &from) in used.iter_mut().zip(shape) {
        *to = u32::try_from(from)
            .with_context(|| format!("shape {shape:?} has a dimension over 2^32"))?;
    }
    Ok((dims, shape.len() as u8))
}

fn golden_section(cases: &[GoldenCase]) -> Result<Vec<u8>> {
    if cases.is_empty() {
        return Ok(Vec::new());
    }
    let mut out = golden::encode_head(cases.len() as u32).to_vec();
    for case in cases {
        let seeds = case.seeds.iter().map(|&s| Item::Generated(s));
        let items: Vec<Item<'_>> = seeds
            .chain(case.outputs.iter().map(|o| Item::Raw(o)))
            .collect();
        let mut body = Vec::new();
        for item in items {
            let at = body.len();
            body.resize(
                at + item.encoded_len().context("a golden output is too large")?,
                0,
            );
            item.encode(&mut body[at..]).map_err(|e| anyhow!("{e}"))?;
        }
        out.extend(golden::encode_case_head(
            (golden::CASE_HEAD + body.len()) as u64,
            0,
            case.tolerance,
        ));
        out.extend(body);
    }
    Ok(out)
}

fn metadata_section(pairs: &BTreeMap<String, String>) -> Result<Vec<u8>> {
    let mut out = metadata::encode_head(pairs.len() as u32).to_vec();
    for (key, value) in pairs {
        let at = out.len();
        out.resize(
            at + metadata::pair_len(key.len(), value.len()).context("metadata is too large")?,
            0,
        );
        metadata::encode_pair(key, value, &mut out[at..])
            .map_err(|e| anyhow!("metadata {key:?}: {e}"))?;
    }
    Ok(out)
}

/// Writes a file under a temporary name beside its own, and renames it: either
/// all of it is there, or nothing changed. What is no file, such as
/// `/dev/null`, is written to as it is.
///
/// # Errors
/// One that names the path.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let failed = || {
        format!(
            "cannot write {}: is its directory there and writable, and the disk not full?",
            path.display()
        )
    };
    let there = std::fs::metadata(path).ok();
    if there.as_ref().is_some_and(|m| m.is_dir()) {
        return Err(anyhow!(
            "cannot write {}: it is a directory",
            path.display()
        ));
    }
    if there.as_ref().is_some_and(|m| !m.is_file()) {
        let mut device = File::options()
            .write(true)
            .open(path)
            .with_context(failed)?;
        return device.write_all(bytes).with_context(failed);
    }
    // A link keeps pointing to the file that is replaced.
    let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let dir = match target.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".tern-").suffix(".tmp");
    // Temporary files are private by default; this one gets the rights that a
    // file written directly would have (less the process's mask), or keeps those it had.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(dir).with_context(failed)?;
    file.write_all(bytes).with_context(failed)?;
    if let Some(there) = there {
        file.as_file()
            .set_permissions(there.permissions())
            .with_context(failed)?;
    }
    file.as_file().sync_all().with_context(failed)?;
    file.persist(&target)
        .map_err(|e| e.error)
        .with_context(failed)?;
    Ok(())
}

#[cfg(test)]
mod tests;
