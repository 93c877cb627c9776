//! A file that was checked once and is used in place.

use crate::Error;
use crate::arena::{self, SLACK};
use crate::format::entry::Entry;
use crate::format::golden::{Case, Cases};
use crate::format::header::{Header, Section};
use crate::format::metadata::{self, Pairs};
use crate::format::op::{Ids, OpRecord};
use crate::format::tensor::{Place, Tensor};
use crate::format::{ALIGN, SECTION_ALIGN, checksum, entry};
use crate::ops::Operands;
use crate::tensor_info::TensorInfo;
use crate::verify;
use tern_kernels::Caps;

/// A `.tern` file: borrowed bytes of which everything was checked, so that
/// what follows cannot go out of bounds. Small and `Copy`.
#[derive(Clone, Copy, Debug)]
pub struct Model<'m> {
    bytes: &'m [u8],
    header: Header,
    pub(crate) strings: &'m str,
    tensors: &'m [[u8; Tensor::LEN]],
    ops: &'m [u8],
    pub(crate) entries: &'m [u8],
    entry_count: u32,
    data: &'m [u8],
    /// Of the plan, rounded up to whole units of 64.
    plan_len: usize,
}

impl<'m> Model<'m> {
    /// Checks a file: its checksum, that everything in it lies within its
    /// bounds, and that every op's operands fit it. `bytes` is exactly the
    /// file, at an address that is a multiple of 8.
    ///
    /// Takes time linear in the file's length for the checksum, and in the
    /// number of ops for the rest; see
    /// [`new_unverified_checksum`](Self::new_unverified_checksum).
    ///
    /// # Errors
    /// Those of groups 0x1_ (file) and 0x3_ (op).
    pub fn new(bytes: &'m [u8]) -> Result<Model<'m>, Error> {
        let header = Self::header_of(bytes)?;
        if checksum::checksum(bytes)? != header.checksum {
            return Err(Error::Checksum);
        }
        Self::checked(bytes, header)
    }

    /// As [`new`](Self::new), but does not compare the checksum: for flash
    /// that is known to be intact, where reading all of it takes too long, and
    /// for fuzzing. Every other check is made, so this is as safe; only an
    /// altered weight goes unnoticed.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn new_unverified_checksum(bytes: &'m [u8]) -> Result<Model<'m>, Error> {
        Self::checked(bytes, Self::header_of(bytes)?)
    }

    fn header_of(bytes: &[u8]) -> Result<Header, Error> {
        let header = Header::decode(bytes)?;
        if header.file_len != bytes.len() as u64 {
            return Err(Error::Truncated);
        }
        if !(bytes.as_ptr() as usize).is_multiple_of(ALIGN) {
            return Err(Error::Misaligned);
        }
        Ok(header)
    }

    fn checked(bytes: &'m [u8], header: Header) -> Result<Model<'m>, Error> {
        let section = |s| section(bytes, &header, s).ok_or(Error::Bounds);
        let (tensors, rest) = section(Section::Tensors)?.as_chunks();
        if !rest.is_empty() {
            return Err(Error::Bounds);
        }
        let strings = core::str::from_utf8(section(Section::Strings)?);
        let entries = section(Section::Entries)?;
        let plan_len = usize::try_from(header.arena_bytes)
            .ok()
            .and_then(|n| n.checked_next_multiple_of(SECTION_ALIGN))
            .filter(|&n| n <= isize::MAX as usize)
            .ok_or(Error::Bounds)?;
        let model = Model {
            bytes,
            header,
            strings: strings.map_err(|_| Error::Malformed)?,
            tensors,
            ops: section(Section::Ops)?,
            entries,
            entry_count: entry::count(entries)?,
            data: section(Section::Data)?,
            plan_len,
        };
        verify::verify(&model)?;
        Ok(model)
    }

    /// The whole file.
    pub fn bytes(&self) -> &'m [u8] {
        self.bytes
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Bytes of a section, without padding.
    pub fn section(&self, section_: Section) -> &'m [u8] {
        section(self.bytes, &self.header, section_).unwrap_or_default()
    }

    /// The data section: weights and other constants.
    pub(crate) fn data(&self) -> &'m [u8] {
        self.data
    }

    /// Bytes of the planned part of the arena, a multiple of 64.
    pub fn plan_len(&self) -> usize {
        self.plan_len
    }

    /// Bytes of arena that [`Session::new`](crate::Session::new) needs on this
    /// CPU: the plan, scratch for the kernels that it will choose, and what
    /// aligning the start may cost. Walks over all ops: ask once.
    pub fn arena_len(&self) -> usize {
        self.arena_len_for(Caps::detect(), 1)
    }

    /// Bytes of arena that a session needs with these instruction sets and so
    /// many threads; `usize::MAX` where that leaves `usize`.
    pub fn arena_len_for(&self, caps: Caps, threads: usize) -> usize {
        let scratch = self.scratch_len(caps, threads);
        self.plan_len.saturating_add(scratch).saturating_add(SLACK)
    }

    /// Largest scratch of all ops.
    pub(crate) fn scratch_len(&self, caps: Caps, threads: usize) -> usize {
        let (mut largest, mut step) = (0, None);
        for entry in 0..self.entry_count() {
            let mut ops = self.ops(entry);
            while let (Ok(()), Some(step)) = (ops.advance(&mut step), &step) {
                let needs = step.record.op.scratch(&step.operands, caps, threads);
                largest = largest.max(needs);
            }
        }
        largest
    }

    /// Number of tensor records.
    pub fn tensor_count(&self) -> usize {
        self.tensors.len()
    }

    /// The tensor with this id.
    pub fn tensor(&self, id: u32) -> Option<Tensor> {
        self.find(id).ok()
    }

    /// As [`tensor`](Self::tensor), for ids from the file that is being checked.
    pub(crate) fn find(&self, id: u32) -> Result<Tensor, Error> {
        Tensor::decode(self.tensor_record(id)?)
    }

    /// As [`find`](Self::find), for what has been checked: all tensors are before an op is
    /// looked at.
    #[inline]
    fn read(&self, id: u32) -> Result<Tensor, Error> {
        Tensor::read(self.tensor_record(id)?)
    }

    fn tensor_record(&self, id: u32) -> Result<&'m [u8; Tensor::LEN], Error> {
        let at = usize::try_from(id).map_err(|_| Error::Bounds)?;
        self.tensors.get(at).ok_or(Error::Bounds)
    }

    /// All tensors, in the order of their ids.
    pub fn tensors(&self) -> impl Iterator<Item = Tensor> + use<'m> {
        self.tensors.iter().filter_map(|t| Tensor::decode(t).ok())
    }

    /// A tensor's name, empty if it has none.
    pub fn tensor_name(&self, tensor: &Tensor) -> &'m str {
        self.text(tensor.name_offset, tensor.name_len)
            .unwrap_or_default()
    }

    /// The bytes of a constant; `None` for a tensor in the arena.
    pub fn constant(&self, tensor: &Tensor) -> Option<&'m [u8]> {
        match tensor.place {
            Place::Data => arena::constant(self.data, tensor).ok(),
            Place::Arena => None,
        }
    }

    /// A piece of the strings section.
    pub(crate) fn text(&self, offset: u32, len: u32) -> Option<&'m str> {
        let start = usize::try_from(offset).ok()?;
        let end = start.checked_add(usize::try_from(len).ok()?)?;
        self.strings.get(start..end)
    }

    /// Number of entry points, at least 1.
    pub fn entry_count(&self) -> usize {
        self.entry_count as usize
    }

    pub(crate) fn entry_record(&self, entry: usize) -> Result<Entry, Error> {
        if entry >= self.entry_count() {
            return Err(Error::NoSuchTensor);
        }
        let at = entry
            .checked_mul(Entry::LEN)
            .and_then(|n| n.checked_add(entry::HEAD));
        let record = at.and_then(|at| self.entries.get(at..));
        Entry::decode(record.ok_or(Error::Bounds)?)
    }

    /// The name of entry point `entry`.
    pub fn entry_name(&self, entry: usize) -> Option<&'m str> {
        let record = self.entry_record(entry).ok()?;
        self.text(record.name_offset, record.name_len)
    }

    /// The entry point with this name.
    pub fn entry_index(&self, name: &str) -> Option<usize> {
        (0..self.entry_count()).find(|&e| self.entry_name(e) == Some(name))
    }

    /// Tensor ids of an entry point's inputs and outputs; none for an entry
    /// point that is not there.
    pub fn ids(&self, entry: usize) -> (Ids<'m>, Ids<'m>) {
        self.entry_record(entry)
            .and_then(|record| record.ids(self.entries))
            .unwrap_or((Ids::new(&[]), Ids::new(&[])))
    }

    fn infos(&self, ids: Ids<'m>) -> impl ExactSizeIterator<Item = TensorInfo<'m>> + use<'m> {
        let model = *self;
        (0..ids.len()).map(move |i| TensorInfo::new(&model, ids.get(i)))
    }

    /// What entry point `entry` takes, in order; nothing if there is no such entry point.
    pub fn inputs(&self, entry: usize) -> impl ExactSizeIterator<Item = TensorInfo<'m>> + use<'m> {
        self.infos(self.ids(entry).0)
    }

    /// What entry point `entry` gives, in order; nothing if there is no such entry point.
    pub fn outputs(&self, entry: usize) -> impl ExactSizeIterator<Item = TensorInfo<'m>> + use<'m> {
        self.infos(self.ids(entry).1)
    }

    pub(crate) fn input_tensor(&self, entry: usize, i: usize) -> Result<Tensor, Error> {
        let (inputs, _) = self.entry_record(entry)?.ids(self.entries)?;
        self.find(inputs.get(i).ok_or(Error::NoSuchTensor)?)
    }

    pub(crate) fn output_tensor(&self, entry: usize, i: usize) -> Result<Tensor, Error> {
        let (_, outputs) = self.entry_record(entry)?.ids(self.entries)?;
        self.find(outputs.get(i).ok_or(Error::NoSuchTensor)?)
    }

    /// The ops of entry point `entry`, in the order in which they run; nothing
    /// if there is no such entry point.
    pub fn ops(&self, entry: usize) -> Ops<'m> {
        let record = self.entry_record(entry).unwrap_or_default();
        Ops::new(self, &record)
    }

    /// An op stream's bytes.
    pub(crate) fn op_bytes(&self, entry: &Entry) -> Option<&'m [u8]> {
        let start = usize::try_from(entry.ops_offset).ok()?;
        let end = start.checked_add(usize::try_from(entry.ops_len).ok()?)?;
        self.ops.get(start..end)
    }

    /// The name of the op with this number, if the file names its ops.
    pub fn op_name(&self, number: usize) -> Option<&'m str> {
        self.metadata(metadata::key::OP_NAMES)?.lines().nth(number)
    }

    /// All keys and values, in file order; [`metadata::key`] lists keys.
    pub fn metadata_pairs(&self) -> impl Iterator<Item = (&'m str, &'m str)> + use<'m> {
        let pairs = Pairs::new(self.section(Section::Metadata));
        pairs.into_iter().flatten().filter_map(Result::ok)
    }

    /// The value of the first pair with this key.
    pub fn metadata(&self, key: &str) -> Option<&'m str> {
        self.metadata_pairs()
            .find(|(k, _)| *k == key)
            .map(|(_, v)| v)
    }

    /// The golden cases, in file order.
    pub fn golden(&self) -> impl Iterator<Item = Case<'m>> + use<'m> {
        let cases = Cases::new(self.section(Section::Golden));
        cases.into_iter().flatten().filter_map(Result::ok)
    }
}

/// A section's bytes; `None` where they are not all there.
fn section<'m>(bytes: &'m [u8], header: &Header, section: Section) -> Option<&'m [u8]> {
    let span = header.section(section);
    let start = usize::try_from(span.offset).ok()?;
    let end = start.checked_add(usize::try_from(span.len).ok()?)?;
    bytes.get(start..end)
}

/// One op of an entry point.
#[derive(Clone, Copy, Debug)]
pub struct OpStep<'m> {
    /// The op's number in the file.
    pub number: usize,
    /// The record: the op with its attributes, and the tensors' ids.
    pub record: OpRecord<'m>,
    /// The operands' and results' records.
    pub operands: Operands<'m>,
}

/// The ops of an entry point, in order.
#[derive(Clone, Debug)]
pub struct Ops<'m> {
    model: Model<'m>,
    rest: &'m [u8],
    number: usize,
}

impl<'m> Ops<'m> {
    pub(crate) fn new(model: &Model<'m>, entry: &Entry) -> Ops<'m> {
        Ops {
            model: *model,
            rest: model.op_bytes(entry).unwrap_or_default(),
            number: entry.first_op as usize,
        }
    }

    /// Puts the next op into `step`, `None` behind the last one; or tells why
    /// its record cannot be read, which in a model that was checked it can.
    pub(crate) fn advance(&mut self, step: &mut Option<OpStep<'m>>) -> Result<(), Error> {
        if self.rest.is_empty() {
            *step = None;
            return Ok(());
        }
        let record = OpRecord::decode(self.rest)?;
        let step = step.get_or_insert_with(|| OpStep {
            number: 0,
            record,
            operands: Operands::empty(),
        });
        step.number = self.number;
        step.record = record;
        step.operands.fill(&record, |id| self.model.read(id))?;
        self.rest = self.rest.get(record.len..).unwrap_or_default();
        self.number = self.number.wrapping_add(1);
        Ok(())
    }
}

impl<'m> Iterator for Ops<'m> {
    type Item = OpStep<'m>;

    fn next(&mut self) -> Option<OpStep<'m>> {
        let mut step = None;
        self.advance(&mut step).ok()?;
        step
    }
}
