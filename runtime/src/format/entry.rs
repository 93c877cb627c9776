//! Entry points: named ranges of the op stream with inputs and outputs.
//!
//! The section starts with the number of records (`u32`) and four zero bytes;
//! the records follow, then the lists of tensor ids that they refer to.

use super::le::{put, u32_at};
use super::op::Ids;
use crate::Error;

/// Bytes before the first record.
pub const HEAD: usize = 8;

/// A decoded entry-point record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Name: offset into the strings section.
    pub name_offset: u32,
    /// Name: length in bytes.
    pub name_len: u32,
    /// Number of ops of the file that precede this entry's.
    pub first_op: u32,
    /// Number of ops.
    pub op_count: u32,
    /// Offset of the first op's record in the ops section.
    pub ops_offset: u32,
    /// Bytes of all the entry's op records.
    pub ops_len: u32,
    /// Offset of the id list in the entries section: inputs, then outputs. The
    /// first list follows the last record, each next one the list before.
    pub ids_offset: u32,
    /// Number of inputs.
    pub inputs: u32,
    /// Number of outputs.
    pub outputs: u32,
}

impl Entry {
    /// Bytes of a record.
    pub const LEN: usize = 40;

    /// The last field is reserved and 0.
    const RESERVED: usize = 36;

    /// The bytes before the first record, for `count` records.
    pub fn encode_head(count: u32) -> [u8; HEAD] {
        let mut b = [0; HEAD];
        put(&mut b, 0, &count.to_le_bytes());
        b
    }

    /// The record's bytes.
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut b = [0; Self::LEN];
        let fields = [
            self.name_offset,
            self.name_len,
            self.first_op,
            self.op_count,
            self.ops_offset,
            self.ops_len,
            self.ids_offset,
            self.inputs,
            self.outputs,
        ];
        for (i, field) in fields.iter().enumerate() {
            put(&mut b, 4 * i, &field.to_le_bytes());
        }
        b
    }

    /// Reads a record.
    ///
    /// # Errors
    /// [`Error::Bounds`] for fewer than 40 bytes, [`Error::Unsupported`] where
    /// the reserved field is not 0.
    pub fn decode(bytes: &[u8]) -> Result<Entry, Error> {
        let field = |i: usize| u32_at(bytes, 4 * i).ok_or(Error::Bounds);
        if u32_at(bytes, Self::RESERVED).ok_or(Error::Bounds)? != 0 {
            return Err(Error::Unsupported);
        }
        Ok(Entry {
            name_offset: field(0)?,
            name_len: field(1)?,
            first_op: field(2)?,
            op_count: field(3)?,
            ops_offset: field(4)?,
            ops_len: field(5)?,
            ids_offset: field(6)?,
            inputs: field(7)?,
            outputs: field(8)?,
        })
    }

    /// The ids of inputs and of outputs, from the bytes of the entries section.
    ///
    /// # Errors
    /// [`Error::Bounds`] where the list does not lie in the section.
    pub fn ids<'a>(&self, section: &'a [u8]) -> Result<(Ids<'a>, Ids<'a>), Error> {
        let (inputs, outputs) = (u64::from(self.inputs), u64::from(self.outputs));
        let start = u64::from(self.ids_offset);
        let middle = start + 4 * inputs;
        let slice = |from: u64, to: u64| {
            let range = usize::try_from(from).ok()?..usize::try_from(to).ok()?;
            Some(Ids::new(section.get(range)?))
        };
        if !start.is_multiple_of(4) {
            return Err(Error::Malformed);
        }
        slice(start, middle)
            .zip(slice(middle, middle + 4 * outputs))
            .ok_or(Error::Bounds)
    }
}

/// Number of records in the section.
///
/// # Errors
/// [`Error::Bounds`] for a section without its first 8 bytes,
/// [`Error::Unsupported`] where the reserved ones are not 0.
pub fn count(section: &[u8]) -> Result<u32, Error> {
    let count = u32_at(section, 0).ok_or(Error::Bounds)?;
    match u32_at(section, 4).ok_or(Error::Bounds)? {
        0 => Ok(count),
        _ => Err(Error::Unsupported),
    }
}
