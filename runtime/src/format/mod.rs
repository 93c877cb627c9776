#![doc = include_str!("FORMAT.md")]

pub mod checksum;
pub mod entry;
pub mod golden;
pub mod header;
mod le;
pub mod metadata;
pub mod op;
pub mod tensor;

/// The file's bytes must start at a multiple of this in memory.
pub const ALIGN: usize = 8;
/// Sections and tensors start at multiples of this in the file and in the arena.
pub const SECTION_ALIGN: usize = 64;
/// "No tensor" in a record.
pub const NONE: u32 = u32::MAX;
