//! The header: 192 bytes at the start of the file.

use super::SECTION_ALIGN;
use super::le::{array, put, u16_at, u32_at, u64_at};
use crate::Error;

/// The sections, in the order of the section table and of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Section {
    /// UTF-8 text that names refer to.
    Strings = 0,
    /// [`Tensor`](super::tensor::Tensor) records.
    Tensors = 1,
    /// [`OpRecord`](super::op::OpRecord)s.
    Ops = 2,
    /// [`Entry`](super::entry::Entry) records and their id lists.
    Entries = 3,
    /// State tensors that live across runs; reserved, empty in this version.
    State = 4,
    /// Weights and other constants.
    Data = 5,
    /// Inputs with the outputs that belong to them.
    Golden = 6,
    /// Keys and values.
    Metadata = 7,
}

impl Section {
    /// All sections, in order.
    pub const ALL: [Section; Section::COUNT] = [
        Section::Strings,
        Section::Tensors,
        Section::Ops,
        Section::Entries,
        Section::State,
        Section::Data,
        Section::Golden,
        Section::Metadata,
    ];
    /// Number of sections.
    pub const COUNT: usize = 8;

    /// Lower-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Section::Strings => "strings",
            Section::Tensors => "tensors",
            Section::Ops => "ops",
            Section::Entries => "entries",
            Section::State => "state",
            Section::Data => "data",
            Section::Golden => "golden",
            Section::Metadata => "metadata",
        }
    }
}

/// A section's place in the file, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Distance from the file's start, a multiple of 64.
    pub offset: u64,
    /// Length, without the padding behind it.
    pub len: u64,
}

/// A decoded header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Length of the whole file in bytes, a multiple of 64.
    pub file_len: u64,
    /// XXH64 of the file; see [`checksum`](super::checksum).
    pub checksum: u64,
    /// Bytes of the planned part of the arena.
    pub arena_bytes: u64,
    /// Where each section is, by [`Section`] number.
    pub sections: [Span; Section::COUNT],
}

impl Header {
    /// Bytes of the header.
    pub const LEN: usize = 192;
    /// The first bytes of every file: `TERN`, then the characters that reveal
    /// a transfer that changed line ends.
    pub const MAGIC: [u8; 8] = *b"TERN\x0d\x0a\x1a\x0a";
    /// Major version that this module reads and writes.
    pub const MAJOR: u16 = 1;
    /// Newest minor version that this module reads, and the one that it writes.
    pub const MINOR: u16 = 0;
    /// Offset of the checksum field.
    pub const CHECKSUM: usize = 24;

    const MAJOR_AT: usize = 8;
    const MINOR_AT: usize = 10;
    const HEADER_LEN: usize = 12;
    const FILE_LEN: usize = 16;
    const ARENA: usize = 32;
    const SECTIONS: usize = 40;
    const SPAN: usize = 16;
    const RESERVED: usize = Self::SECTIONS + Self::SPAN * Section::COUNT;

    /// Lays sections of these lengths out one after the other, each at a
    /// multiple of 64. The checksum is left 0, to be filled in by
    /// [`seal`](super::checksum::seal) once the file is written.
    ///
    /// # Errors
    /// [`Error::Bounds`] where the file's length does not fit 64 bits.
    pub fn layout(lens: [u64; Section::COUNT], arena_bytes: u64) -> Result<Header, Error> {
        let mut end = Self::LEN as u64;
        let mut sections = [Span::default(); Section::COUNT];
        for (span, len) in sections.iter_mut().zip(lens) {
            *span = Span { offset: end, len };
            end = end
                .checked_add(len)
                .and_then(|e| e.checked_next_multiple_of(SECTION_ALIGN as u64))
                .ok_or(Error::Bounds)?;
        }
        Ok(Header {
            file_len: end,
            checksum: 0,
            arena_bytes,
            sections,
        })
    }

    /// Where a section is.
    pub fn section(&self, section: Section) -> Span {
        self.sections[section as usize]
    }

    /// The header's bytes.
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut b = [0; Self::LEN];
        put(&mut b, 0, &Self::MAGIC);
        put(&mut b, Self::MAJOR_AT, &Self::MAJOR.to_le_bytes());
        put(&mut b, Self::MINOR_AT, &Self::MINOR.to_le_bytes());
        put(&mut b, Self::HEADER_LEN, &(Self::LEN as u32).to_le_bytes());
        put(&mut b, Self::FILE_LEN, &self.file_len.to_le_bytes());
        put(&mut b, Self::CHECKSUM, &self.checksum.to_le_bytes());
        put(&mut b, Self::ARENA, &self.arena_bytes.to_le_bytes());
        for (i, span) in self.sections.iter().enumerate() {
            let at = Self::SECTIONS + Self::SPAN * i;
            put(&mut b, at, &span.offset.to_le_bytes());
            put(&mut b, at + 8, &span.len.to_le_bytes());
        }
        b
    }

    /// Reads the header from the first bytes of a file and checks all that
    /// does not need the rest: so a host that has only this much can learn the
    /// file's length and the arena's.
    ///
    /// # Errors
    /// [`Error::NotTern`], [`Error::Version`], [`Error::Truncated`] for fewer
    /// than 192 bytes, [`Error::Bounds`] for sections that overlap, are out of
    /// order, not aligned or beyond the file's length, and
    /// [`Error::Unsupported`] for reserved features.
    pub fn decode(bytes: &[u8]) -> Result<Header, Error> {
        if bytes.iter().zip(&Self::MAGIC).any(|(a, b)| a != b) {
            return Err(Error::NotTern);
        }
        let major = u16_at(bytes, Self::MAJOR_AT).ok_or(Error::Truncated)?;
        let minor = u16_at(bytes, Self::MINOR_AT).ok_or(Error::Truncated)?;
        if major != Self::MAJOR || minor > Self::MINOR {
            return Err(Error::Version);
        }
        let b: [u8; Self::LEN] = array(bytes, 0).ok_or(Error::Truncated)?;
        let field = |at| u64_at(&b, at).ok_or(Error::Truncated);
        if u32_at(&b, Self::HEADER_LEN) != Some(Self::LEN as u32) {
            return Err(Error::Malformed);
        }
        if b[Self::RESERVED..] != [0; Self::LEN - Self::RESERVED] {
            return Err(Error::Unsupported);
        }
        let mut header = Header {
            file_len: field(Self::FILE_LEN)?,
            checksum: field(Self::CHECKSUM)?,
            arena_bytes: field(Self::ARENA)?,
            sections: [Span::default(); Section::COUNT],
        };
        for (i, span) in header.sections.iter_mut().enumerate() {
            let at = Self::SECTIONS + Self::SPAN * i;
            *span = Span {
                offset: field(at)?,
                len: field(at + 8)?,
            };
        }
        header.check()?;
        Ok(header)
    }

    fn check(&self) -> Result<(), Error> {
        let aligned = |n: u64| n.is_multiple_of(SECTION_ALIGN as u64);
        if self.section(Section::State).len != 0 {
            return Err(Error::Unsupported);
        }
        let mut end = Self::LEN as u64;
        for span in &self.sections {
            if span.offset < end || !aligned(span.offset) {
                return Err(Error::Bounds);
            }
            end = span.offset.checked_add(span.len).ok_or(Error::Bounds)?;
        }
        if end > self.file_len || !aligned(self.file_len) {
            return Err(Error::Bounds);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Header {
        Header::layout([5, 128, 60, 44, 0, 4096, 8, 8], 1000).unwrap()
    }

    #[test]
    fn layout_encode_decode() {
        let header = example();
        assert_eq!(header.section(Section::Strings).offset, 192);
        assert_eq!(header.section(Section::Tensors).offset, 256);
        assert_eq!(
            header.section(Section::Data).offset,
            header.section(Section::State).offset
        );
        assert!(header.file_len.is_multiple_of(64));
        assert_eq!(Header::decode(&header.encode()), Ok(header));
        assert_eq!(Header::layout([u64::MAX; 8], 0), Err(Error::Bounds));
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        let with = |at: usize, value: u8| {
            let mut b = example().encode();
            b[at] = value;
            Header::decode(&b)
        };
        assert_eq!(with(0, b'X'), Err(Error::NotTern));
        assert_eq!(with(8, 2), Err(Error::Version));
        assert_eq!(with(8, 0), Err(Error::Version));
        assert_eq!(with(10, 1), Err(Error::Version));
        assert_eq!(with(12, 0), Err(Error::Malformed));
        assert_eq!(with(16, 1), Err(Error::Bounds));
        assert_eq!(with(40, 193), Err(Error::Bounds));
        assert_eq!(with(40 + 16 * 4 + 8, 1), Err(Error::Unsupported));
        assert_eq!(with(191, 1), Err(Error::Unsupported));
        for len in 0..Header::LEN {
            assert_eq!(
                Header::decode(&example().encode()[..len]),
                Err(Error::Truncated)
            );
        }
    }
}
