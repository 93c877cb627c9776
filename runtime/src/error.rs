//! The runtime's errors: small, `Copy`, numbered, the same numbers as in `ternrt.h`.

use core::ffi::CStr;
use core::fmt;

macro_rules! errors {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)*) => {
        /// Why a file was refused or a call failed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u32)]
        pub enum Error { $($(#[$doc])* $name = $code),* }

        impl Error {
            /// All errors, in number order.
            pub const ALL: &'static [Error] = &[$(Error::$name),*];

            /// One line of English.
            pub const fn text(self) -> &'static str {
                match self { $(Error::$name => $text),* }
            }

            /// [`text`](Self::text) for C.
            pub const fn c_text(self) -> &'static CStr {
                match self {
                    $(Error::$name => match CStr::from_bytes_with_nul(concat!($text, "\0").as_bytes()) {
                        Ok(text) => text,
                        Err(_) => c"",
                    }),*
                }
            }
        }
    };
}

errors! {
    /// The bytes do not begin with the magic number.
    NotTern = 0x101, "not a .tern file: the magic number is missing";
    /// The major version is newer (or older) than this reader's.
    Version = 0x102, "the file's format version is not known to this runtime: update the runtime or compile the model again";
    /// Fewer bytes than the header says.
    Truncated = 0x103, "the file is truncated or its stated length is wrong";
    /// The checksum does not match the contents.
    Checksum = 0x104, "the file is damaged: its checksum does not match";
    /// A section, record or reference points outside of its bounds.
    Bounds = 0x105, "the file refers to something outside of its bounds";
    /// A field holds a value that the specification does not allow.
    Malformed = 0x106, "the file holds a value that the format does not allow";
    /// A feature that the format reserves but this runtime does not have.
    Unsupported = 0x107, "the file uses a feature that this runtime does not have";
    /// The file's bytes do not start at an address that is a multiple of [`crate::format::ALIGN`].
    Misaligned = 0x108, "the model's bytes must start at an address that is a multiple of 8";
    /// The arena is smaller than `arena_len`.
    ArenaTooSmall = 0x201, "the arena is smaller than the model needs: ask arena_len";
    /// A caller's buffer has another length than the tensor.
    Length = 0x202, "the buffer's length is not the tensor's";
    /// No input, output or entry point with this index or name.
    NoSuchTensor = 0x203, "there is no input, output or entry point of that index or name";
    /// The tensor has another dtype.
    DTypeMismatch = 0x204, "the tensor has another dtype";
    /// An op code that this runtime does not know.
    UnknownOp = 0x301, "the file uses an op that this runtime does not know";
    /// Shapes, dtypes or attributes of an op do not fit together.
    BadOp = 0x302, "an op's shapes, dtypes or attributes do not fit together";
    /// Two operands of one op share memory.
    Overlap = 0x303, "two operands of an op share memory";
    /// A value at run time that the op cannot work with, such as an index out of range.
    BadValue = 0x304, "an op met a value that it cannot work with, such as an index out of range";
    /// The backend is not part of this build or has no driver.
    NoBackend = 0x401, "the backend is not available";
}

impl Error {
    /// The number, as in `ternrt.h`.
    pub const fn code(self) -> u32 {
        self as u32
    }

    /// The error with this number.
    pub fn from_code(code: u32) -> Option<Error> {
        Self::ALL.iter().copied().find(|e| e.code() == code)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (error 0x{:03x})", self.text(), self.code())
    }
}

impl core::error::Error for Error {}

/// A kernel refuses only what an op's check lets through by mistake.
impl From<tern_kernels::Invalid> for Error {
    fn from(_: tern_kernels::Invalid) -> Error {
        Error::BadOp
    }
}
