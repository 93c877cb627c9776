//! Metadata: pairs of UTF-8 keys and values.
//!
//! The section is empty, or starts with the number of pairs (`u32`) and four
//! zero bytes. A pair is the key's and the value's length (`u32` each), then
//! key and value, padded together with zeros to a multiple of 4.

use super::le::{put, u32_at};
use crate::Error;

/// Bytes before the first pair.
pub const HEAD: usize = 8;
/// Bytes before a pair's key.
pub const PAIR_HEAD: usize = 8;

/// Keys that the project's tools write. Others may be added freely.
pub mod key {
    /// The model's name.
    pub const NAME: &str = "name";
    /// What the model does, in prose.
    pub const DESCRIPTION: &str = "description";
    /// Names of a classifier's classes, one a line, in the output's order.
    pub const LABELS: &str = "labels";
    /// SPDX expression of the weights' licence.
    pub const LICENCE: &str = "licence";
    /// Program and version that wrote the file.
    pub const PRODUCER: &str = "producer";
    /// Where the model came from: file name, hash, address.
    pub const SOURCE: &str = "source";
    /// Name of every op, one a line, in the order of the op stream.
    pub const OP_NAMES: &str = "op_names";
    /// Codec, bytes and weight error of every layer, as JSON.
    pub const LEDGER: &str = "ledger";
    /// Meaning of the first entry's inputs' dimensions, one a line: `NCHW`, `NHWC` ...
    pub const INPUT_LAYOUT: &str = "input_layout";
    /// Mean of each image channel, for pixels in 0..=1, separated by commas.
    pub const INPUT_MEAN: &str = "input_mean";
    /// Standard deviation of each image channel, as [`INPUT_MEAN`].
    pub const INPUT_STD: &str = "input_std";
    /// Activation mode that the file was compiled with: `f32`, `i16`, `i8` or `i7`.
    pub const ACTIVATIONS: &str = "activations";
}

/// The bytes before the first pair, for `count` pairs.
pub fn encode_head(count: u32) -> [u8; HEAD] {
    let mut b = [0; HEAD];
    put(&mut b, 0, &count.to_le_bytes());
    b
}

/// Bytes of a pair with key and value of these lengths; `None` where that overflows.
pub fn pair_len(key: usize, value: usize) -> Option<usize> {
    PAIR_HEAD
        .checked_add(key)?
        .checked_add(value)?
        .checked_next_multiple_of(4)
}

/// Writes a pair to the start of `out` and returns its length.
///
/// # Errors
/// [`Error::Length`] where `out` is shorter than [`pair_len`], or a text is
/// 4 GiB or longer.
pub fn encode_pair(key: &str, value: &str, out: &mut [u8]) -> Result<usize, Error> {
    let len = pair_len(key.len(), value.len()).ok_or(Error::Length)?;
    let out = out.get_mut(..len).ok_or(Error::Length)?;
    out.fill(0);
    for (at, text) in [(0, key), (4, value)] {
        let text_len = u32::try_from(text.len()).map_err(|_| Error::Length)?;
        put(out, at, &text_len.to_le_bytes());
    }
    put(out, PAIR_HEAD, key.as_bytes());
    put(out, PAIR_HEAD + key.len(), value.as_bytes());
    Ok(len)
}

/// The pairs of a section, in file order.
#[derive(Clone, Copy, Debug)]
pub struct Pairs<'a> {
    rest: &'a [u8],
    left: u32,
}

impl<'a> Pairs<'a> {
    /// Starts at the first pair of a section.
    ///
    /// # Errors
    /// [`Error::Bounds`] for a section that is shorter than its first 8 bytes
    /// and not empty, [`Error::Unsupported`] where the reserved ones are not 0.
    pub fn new(section: &'a [u8]) -> Result<Pairs<'a>, Error> {
        if section.is_empty() {
            return Ok(Pairs {
                rest: section,
                left: 0,
            });
        }
        let (head, rest) = section.split_at_checked(HEAD).ok_or(Error::Bounds)?;
        let left = u32_at(head, 0).ok_or(Error::Bounds)?;
        match u32_at(head, 4) {
            Some(0) => Ok(Pairs { rest, left }),
            _ => Err(Error::Unsupported),
        }
    }

    fn pair(&mut self) -> Result<(&'a str, &'a str), Error> {
        let text_len = |at| {
            let len = u32_at(self.rest, at).ok_or(Error::Bounds)?;
            usize::try_from(len).map_err(|_| Error::Bounds)
        };
        let (key, value) = (text_len(0)?, text_len(4)?);
        let len = pair_len(key, value).ok_or(Error::Bounds)?;
        let (pair, rest) = self.rest.split_at_checked(len).ok_or(Error::Bounds)?;
        let text = |from: usize, len: usize| {
            core::str::from_utf8(&pair[from..from + len]).map_err(|_| Error::Malformed)
        };
        let pair = (text(PAIR_HEAD, key)?, text(PAIR_HEAD + key, value)?);
        self.rest = rest;
        Ok(pair)
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = Result<(&'a str, &'a str), Error>;

    /// The next key and value; after an error there is no more.
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let pair = self.pair();
        if pair.is_err() {
            self.left = 0;
        }
        Some(pair)
    }
}
