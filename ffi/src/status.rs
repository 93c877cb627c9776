//! Numbers of errors: those of the runtime's `Error`, and 0x5_ for what only
//! this interface meets.

use rt::Error;
use std::ffi::CStr;

/// The result of a call: 0, or the number of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Status {
    /// It worked.
    Ok = 0,
    /// 0x101: not a .tern file: the magic number is missing.
    NotTern = 0x101,
    /// 0x102: the file's format version is not known to this runtime: update the runtime or compile the model again.
    Version = 0x102,
    /// 0x103: the file is truncated or its stated length is wrong.
    Truncated = 0x103,
    /// 0x104: the file is damaged: its checksum does not match.
    Checksum = 0x104,
    /// 0x105: the file refers to something outside of its bounds.
    Bounds = 0x105,
    /// 0x106: the file holds a value that the format does not allow.
    Malformed = 0x106,
    /// 0x107: the file uses a feature that this runtime does not have.
    Unsupported = 0x107,
    /// 0x108: the model's bytes must start at an address that is a multiple of 8.
    Misaligned = 0x108,
    /// 0x201: the arena is smaller than the model needs: ask arena_len.
    ArenaTooSmall = 0x201,
    /// 0x202: the buffer's length is not the tensor's.
    Length = 0x202,
    /// 0x203: there is no input, output or entry point of that index or name.
    NoSuchTensor = 0x203,
    /// 0x204: the tensor has another dtype.
    DtypeMismatch = 0x204,
    /// 0x301: the file uses an op that this runtime does not know.
    UnknownOp = 0x301,
    /// 0x302: an op's shapes, dtypes or attributes do not fit together.
    BadOp = 0x302,
    /// 0x303: two operands of an op share memory.
    Overlap = 0x303,
    /// 0x304: an op met a value that it cannot work with, such as an index out of range.
    BadValue = 0x304,
    /// 0x401: the backend is not available.
    NoBackend = 0x401,
    /// 0x501: a pointer is null, or not aligned, where it must not be.
    NullPointer = 0x501,
    /// 0x502: a string is not UTF-8.
    NotUtf8 = 0x502,
    /// 0x503: the file cannot be opened or mapped.
    Io = 0x503,
    /// 0x504: the operating system refuses to start threads.
    Threads = 0x504,
    /// 0x505: the model has no metadata of that key.
    NoSuchKey = 0x505,
    /// 0x506: the environment variable TERNRT_CAPS names instruction sets that do not exist.
    Caps = 0x506,
    /// 0x5FF: a defect of this library. The call had no other effect.
    Internal = 0x5FF,
}

impl From<Error> for Status {
    fn from(error: Error) -> Status {
        match error {
            Error::NotTern => Status::NotTern,
            Error::Version => Status::Version,
            Error::Truncated => Status::Truncated,
            Error::Checksum => Status::Checksum,
            Error::Bounds => Status::Bounds,
            Error::Malformed => Status::Malformed,
            Error::Unsupported => Status::Unsupported,
            Error::Misaligned => Status::Misaligned,
            Error::ArenaTooSmall => Status::ArenaTooSmall,
            Error::Length => Status::Length,
            Error::NoSuchTensor => Status::NoSuchTensor,
            Error::DTypeMismatch => Status::DtypeMismatch,
            Error::UnknownOp => Status::UnknownOp,
            Error::BadOp => Status::BadOp,
            Error::Overlap => Status::Overlap,
            Error::BadValue => Status::BadValue,
            Error::NoBackend => Status::NoBackend,
        }
    }
}

/// One line of English for a number.
pub(crate) fn text(code: u32) -> &'static CStr {
    if let Some(error) = Error::from_code(code) {
        return error.c_text();
    }
    match code {
        0 => c"no error",
        0x501 => c"a pointer is null or not aligned",
        0x502 => c"a string is not UTF-8",
        0x503 => c"the file cannot be opened or mapped",
        0x504 => c"the operating system refuses to start threads",
        0x505 => c"the model has no metadata of that key",
        0x506 => c"TERNRT_CAPS names instruction sets that do not exist",
        0x5FF => c"a defect of the library",
        _ => c"not a number of an error",
    }
}
