//! Op records: one after the other, 4-byte aligned, of varying length.

use super::NONE;
use super::le::{put, u16_at};
use crate::Error;
use crate::ops::{MAX_INPUTS, MAX_OUTPUTS, Op};

/// A list of `u32` tensor ids inside the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ids<'a>(&'a [[u8; 4]]);

impl<'a> Ids<'a> {
    /// The ids in `bytes`; a rest of fewer than four bytes is left out.
    pub(crate) fn new(bytes: &'a [u8]) -> Ids<'a> {
        Ids(bytes.as_chunks().0)
    }

    /// How many there are, absent ones included.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Id `i`; `None` beyond the end and where it is [`NONE`].
    pub fn get(&self, i: usize) -> Option<u32> {
        let id = u32::from_le_bytes(*self.0.get(i)?);
        (id != NONE).then_some(id)
    }

    /// All ids, `None` for an absent one.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Option<u32>> + use<'a> {
        self.0.iter().map(|b| {
            let id = u32::from_le_bytes(*b);
            (id != NONE).then_some(id)
        })
    }
}

/// A decoded op record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OpRecord<'a> {
    /// The op and its attributes.
    pub op: Op,
    /// Ids of the operands.
    pub inputs: Ids<'a>,
    /// Ids of the results.
    pub outputs: Ids<'a>,
    /// Bytes of the record.
    pub len: usize,
}

impl<'a> OpRecord<'a> {
    /// Bytes before the ids.
    pub const HEAD: usize = 8;

    const CODE: usize = 0;
    const WORDS: usize = 2;
    const INPUTS: usize = 4;
    const OUTPUTS: usize = 5;
    const ATTRIBUTES: usize = 6;

    /// Bytes of a record of `op` with so many operands and results.
    pub fn encoded_len(op: &Op, inputs: usize, outputs: usize) -> usize {
        Self::HEAD + 4 * (inputs + outputs) + op.attributes_len().next_multiple_of(4)
    }

    /// Writes a record to the start of `out` and returns its length. An absent
    /// operand is [`NONE`].
    ///
    /// # Errors
    /// [`Error::BadOp`] for more ids than an op can have,
    /// [`Error::Length`] where `out` is shorter than [`encoded_len`](Self::encoded_len).
    pub fn encode(
        op: &Op,
        inputs: &[u32],
        outputs: &[u32],
        out: &mut [u8],
    ) -> Result<usize, Error> {
        if inputs.len() > MAX_INPUTS || outputs.len() > MAX_OUTPUTS {
            return Err(Error::BadOp);
        }
        let len = Self::encoded_len(op, inputs.len(), outputs.len());
        let attributes = op.attributes_len();
        let words = u16::try_from(len / 4).map_err(|_| Error::BadOp)?;
        let out = out.get_mut(..len).ok_or(Error::Length)?;
        out.fill(0);
        put(out, Self::CODE, &op.code().to_le_bytes());
        put(out, Self::WORDS, &words.to_le_bytes());
        out[Self::INPUTS] = inputs.len() as u8;
        out[Self::OUTPUTS] = outputs.len() as u8;
        put(out, Self::ATTRIBUTES, &(attributes as u16).to_le_bytes());
        let mut at = Self::HEAD;
        for id in inputs.iter().chain(outputs) {
            put(out, at, &id.to_le_bytes());
            at += 4;
        }
        op.encode(&mut out[at..at + attributes]);
        Ok(len)
    }

    /// Reads the record at the start of `bytes` and checks its lengths and its
    /// attributes; the ids are for [`check_ids`](Self::check_ids).
    ///
    /// # Errors
    /// [`Error::Bounds`] where the record is longer than `bytes`,
    /// [`Error::UnknownOp`], [`Error::Malformed`] for lengths or attributes
    /// that do not fit.
    pub fn decode(bytes: &'a [u8]) -> Result<OpRecord<'a>, Error> {
        let head = bytes.get(..Self::HEAD).ok_or(Error::Bounds)?;
        let half = |at| u16_at(head, at).ok_or(Error::Bounds);
        let len = 4 * usize::from(half(Self::WORDS)?);
        let inputs = usize::from(head[Self::INPUTS]);
        let outputs = usize::from(head[Self::OUTPUTS]);
        let attributes = usize::from(half(Self::ATTRIBUTES)?);
        let ids = Self::HEAD;
        let results = ids + 4 * inputs;
        let end = results + 4 * outputs;
        if len != end + attributes.next_multiple_of(4) {
            return Err(Error::Malformed);
        }
        let record = bytes.get(..len).ok_or(Error::Bounds)?;
        let op = Op::decode(half(Self::CODE)?, &record[end..end + attributes])?;
        if record[end + attributes..].iter().any(|&b| b != 0) {
            return Err(Error::Malformed);
        }
        Ok(OpRecord {
            op,
            inputs: Ids::new(&record[ids..results]),
            outputs: Ids::new(&record[results..end]),
            len,
        })
    }

    /// Checks that there are no more ids than the op's row has, and none absent that the
    /// row does not mark with `?`.
    ///
    /// # Errors
    /// [`Error::BadOp`].
    pub fn check_ids(&self) -> Result<(), Error> {
        let row = self.op.row();
        for (ids, names) in [(self.inputs, row.operands), (self.outputs, row.results)] {
            let complete = names
                .iter()
                .enumerate()
                .all(|(i, name)| name.ends_with('?') || ids.get(i).is_some());
            if !complete || ids.len() > names.len() {
                return Err(Error::BadOp);
            }
        }
        Ok(())
    }
}
