//! Every op of the format, one row each: number, name, module, operands and
//! typed attributes. A row generates the attribute struct, encoding, decoding,
//! the text form, the dispatch and the table in the documentation. Numbers are
//! never reused or changed.

use super::attr::Attr;
use super::{Exec, Operands};
use crate::Error;
use core::fmt;
use tern_kernels::Caps;
use tern_kernels::eltwise::{BinaryKind, Unary};
use tern_kernels::movement::{PadMode, ResizeCoordinates, ResizeMode};
use tern_kernels::reduce::ReduceKind;

macro_rules! ops {
    ($($(#[doc = $doc:literal])* $code:literal $name:ident $text:literal $module:ident
        ($($operand:literal),*) -> ($($result:literal),*)
        { $($(#[doc = $fdoc:literal])* $field:ident: $t:ty),* $(,)? })*) => {
        $(
            $(#[doc = $doc])*
            #[derive(Clone, Copy, Debug, PartialEq)]
            pub struct $name { $($(#[doc = $fdoc])* pub $field: $t),* }
        )*

        /// An op with its attributes.
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub enum Op { $($(#[doc = $doc])* $name($name)),* }

        $(impl From<$name> for Op { fn from(op: $name) -> Op { Op::$name(op) } })*

        /// One row of the table, for documentation and tests.
        #[derive(Clone, Copy, Debug)]
        pub struct Row {
            /// Number in the file.
            pub code: u16,
            /// Name in the text form.
            pub name: &'static str,
            /// First line of the documentation.
            pub doc: &'static str,
            /// The whole documentation.
            pub docs: &'static str,
            /// Names of the operands; those that end in `?` may be absent.
            pub operands: &'static [&'static str],
            /// Names of the results.
            pub results: &'static [&'static str],
            /// Names of the attributes, in record order.
            pub attributes: &'static [&'static str],
            /// Type of each attribute, as this module writes it.
            pub attribute_types: &'static [&'static str],
            /// Meaning of each attribute.
            pub attribute_docs: &'static [&'static str],
        }

        /// The table, in code order.
        pub const TABLE: &[Row] = &[$(Row {
            code: $code, name: $text, doc: [$($doc),*][0], docs: concat!($($doc),*),
            operands: &[$($operand),*], results: &[$($result),*],
            attributes: &[$(stringify!($field)),*],
            attribute_types: &[$(stringify!($t)),*],
            attribute_docs: &[$(concat!($($fdoc),*)),*],
        }),*];

        impl Op {
            /// Number in the file.
            pub fn code(&self) -> u16 { match self { $(Op::$name(_) => $code),* } }

            /// Name in the text form.
            pub fn name(&self) -> &'static str { match self { $(Op::$name(_) => $text),* } }

            /// Row of the table.
            pub fn row(&self) -> &'static Row {
                let code = self.code();
                TABLE.iter().find(|r| r.code == code).unwrap_or(&TABLE[0])
            }

            /// Bytes that [`encode`](Self::encode) writes.
            pub fn attributes_len(&self) -> usize { match self { $(Op::$name(_) => 0 $(+ <$t as Attr>::LEN)*),* } }

            /// Writes the attributes, in field order; `out` is exactly `attributes_len` long or longer.
            #[allow(unused_assignments, unused_variables, unused_mut)]
            pub fn encode(&self, out: &mut [u8]) {
                match self { $(Op::$name(a) => { let mut at = 0; $(a.$field.put(&mut out[at..]); at += <$t as Attr>::LEN;)* }),* }
            }

            /// Reads an op; the attribute bytes must have exactly the op's length.
            #[allow(unused_assignments, unused_variables, unused_mut)]
            pub fn decode(code: u16, bytes: &[u8]) -> Result<Op, Error> {
                match code {
                    $($code => {
                        let mut at = 0;
                        let op = $name { $($field: {
                            let v = <$t as Attr>::get(bytes.get(at..).ok_or(Error::Malformed)?).ok_or(Error::Malformed)?;
                            at += <$t as Attr>::LEN;
                            v
                        }),* };
                        if at == bytes.len() { Ok(Op::$name(op)) } else { Err(Error::Malformed) }
                    })*
                    _ => Err(Error::UnknownOp),
                }
            }

            /// Builds an op from its text name and a look-up of attribute texts;
            /// `Err` names the attribute that is missing or wrong (`""` for an unknown op).
            #[allow(unused_variables)]
            pub fn parse<'t>(name: &str, attribute: impl Fn(&str) -> Option<&'t str>) -> Result<Op, &'static str> {
                match name {
                    $($text => Ok(Op::$name($name { $($field:
                        attribute(stringify!($field)).and_then(<$t as Attr>::parse).ok_or(stringify!($field))?),* })),)*
                    _ => Err(""),
                }
            }

            /// Checks operands at load; behind it `run` cannot fail for their sake.
            pub fn check(&self, io: &Operands<'_>) -> Result<(), Error> { match self { $(Op::$name(a) => super::$module::check(a, io)),* } }

            /// Scratch bytes that `run` needs with these instruction sets and threads.
            pub fn scratch(&self, io: &Operands<'_>, caps: Caps, threads: usize) -> usize {
                match self { $(Op::$name(a) => super::$module::scratch(a, io, caps, threads)),* }
            }

            /// Computes the results.
            pub fn run(&self, io: &Operands<'_>, exec: &mut Exec<'_>) -> Result<(), Error> {
                match self { $(Op::$name(a) => super::$module::run(a, io, exec)),* }
            }
        }

        /// The attributes as in the text form: `kernel=[3,3] stride=[1,1] ...`.
        impl fmt::Display for Op {
            #[allow(unused_variables)]
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())?;
                match self { $(Op::$name(a) => { $(write!(f, concat!(" ", stringify!($field), "="))?; a.$field.print(f)?;)* Ok(()) }),* }
            }
        }
    };
}

ops! {
    /// Two-dimensional convolution over NHWC, forward or transposed.
    /// Weights are a constant `[out, kernel_h, kernel_w, in / group]` in a panel codec, `bias` is f32
    /// `[out]`, `residual` has the shape of `y` and is added before the activation. `x`, `residual` and
    /// `y` are f32 or quantised, each on its own; a quantised `x` needs ternary weights, and a quantised
    /// `y` a constant scale. Height and width are `(in + pads - dilation * (kernel - 1) - 1) / stride + 1`,
    /// rounded down; where transposed, `(in - 1) * stride - pads + dilation * (kernel - 1) + 1` plus an
    /// output padding below the larger of stride and dilation.
    0x0001 Conv2d "conv2d" conv2d ("x", "w", "bias?", "residual?") -> ("y") {
        /// Height and width of the kernel.
        kernel: [u16; 2],
        /// Height and width steps.
        stride: [u16; 2],
        /// Distance of kernel taps.
        dilation: [u16; 2],
        /// Top, left, bottom, right; of the output where transposed.
        pads: [u16; 4],
        /// Number of groups.
        group: u32,
        /// Whether this is ConvTranspose.
        transposed: bool,
        /// Applied after bias and residual.
        activation: Unary,
    }
    /// Depthwise convolution over NHWC: every channel has its own kernel.
    /// Weights are a constant `[channels, kernel_h, kernel_w, 1]` in a panel codec; all else as for `conv2d`.
    0x0002 DepthwiseConv2d "depthwise_conv2d" depthwise_conv2d ("x", "w", "bias?", "residual?") -> ("y") {
        /// Height and width of the kernel.
        kernel: [u16; 2],
        /// Height and width steps.
        stride: [u16; 2],
        /// Distance of kernel taps.
        dilation: [u16; 2],
        /// Top, left, bottom, right.
        pads: [u16; 4],
        /// Applied after bias and residual.
        activation: Unary,
    }
    /// Product with constant weights: `x [.., k]`, `w [n, k]` in a panel codec, `y [.., n]`.
    /// Operands and dtypes as for `conv2d`.
    0x0003 Gemm "gemm" gemm ("x", "w", "bias?", "residual?") -> ("y") {
        /// Applied after bias and residual.
        activation: Unary,
    }
    /// Batched product of two computed matrices, `[.., m, k]` and `[.., k, n]`; f32.
    /// Leading dimensions are equal, or all 1 (or absent) on one side.
    0x0004 MatMul "matmul" matmul ("a", "b") -> ("y") {
        /// Whether `a` is stored `[.., k, m]`.
        transpose_a: bool,
        /// Whether `b` is stored `[.., n, k]`.
        transpose_b: bool,
    }
    /// Largest value under the kernel, NHWC; f32, i8 or i16.
    /// Height and width are `(in + pads - dilation * (kernel - 1) - 1) / stride + 1`, rounded down, or up
    /// if the last window then starts inside the input or the padding before it. Padding never wins.
    0x0005 MaxPool "max_pool" max_pool ("x") -> ("y") {
        /// Height and width of the window.
        kernel: [u16; 2],
        /// Height and width steps.
        stride: [u16; 2],
        /// Distance of window positions.
        dilation: [u16; 2],
        /// Top, left, bottom, right.
        pads: [u16; 4],
    }
    /// Mean under the kernel, NHWC; f32.
    /// Height and width as for `max_pool`.
    0x0006 AveragePool "average_pool" average_pool ("x") -> ("y") {
        /// Height and width of the window.
        kernel: [u16; 2],
        /// Height and width steps.
        stride: [u16; 2],
        /// Distance of window positions.
        dilation: [u16; 2],
        /// Top, left, bottom, right.
        pads: [u16; 4],
        /// Whether the divisor counts padding.
        count_include_pad: bool,
    }
    /// A function of one operand.
    /// F32; `neg`, `abs` and `sign` also i32 and i64; `not` bool; `identity` any dtype.
    0x0010 UnaryOp "unary" unary ("x") -> ("y") {
        /// Which function.
        function: Unary,
    }
    /// A function of two operands, with NumPy broadcasting.
    /// Both have one dtype, f32, i32 or i64 (`pow` f32 alone, `and`, `or`, `xor` bool alone, `equal` and
    /// `not_equal` bool too), and so has the result, or bool for comparisons.
    0x0011 BinaryOp "binary" binary ("a", "b") -> ("y") {
        /// Which function.
        function: BinaryKind,
        /// Applied to the result; identity unless f32.
        activation: Unary,
    }
    /// `condition ? a : b`, with NumPy broadcasting.
    /// The condition is bool, the others have one dtype, any.
    0x0012 Where "where" select ("condition", "a", "b") -> ("y") {}
    /// Conversion to the result's dtype; floats to integers saturate.
    /// Neither is quantised.
    0x0013 Cast "cast" cast ("x") -> ("y") {}
    /// f32 to the result's integers; writes the scale as well where it is dynamic.
    /// `scale` is the very tensor that `q` names as its scale tensor; without it that one is a constant.
    0x0014 Quantize "quantize" quantize ("x") -> ("q", "scale?") {}
    /// Quantised integers back to f32.
    0x0015 Dequantize "dequantize" dequantize ("q") -> ("x") {}
    /// Reduction over the axes whose bit is set.
    /// F32, i32 or i64 (`mean` f32 alone); the index functions take one axis and give i64. The result
    /// may keep the reduced dimensions as 1 or leave them out.
    0x0020 Reduce "reduce" reduce ("x") -> ("y") {
        /// What is computed.
        function: ReduceKind,
        /// Bit `i` for dimension `i` of the operand.
        axes: u8,
    }
    /// Softmax over one axis; f32.
    0x0021 Softmax "softmax" softmax ("x") -> ("y") {
        /// The dimension.
        axis: u8,
        /// Whether the logarithm is taken.
        log: bool,
    }
    /// Permuted dimensions; any dtype.
    0x0030 Transpose "transpose" transpose ("x") -> ("y") {
        /// Dimension `i` of the result is dimension `perm[i]` of the operand; unused entries are 0.
        perm: [u8; 6],
    }
    /// Operands one after the other along one axis, up to 16; any dtype.
    0x0031 Concat "concat" concat ("x0", "x1?", "x2?", "x3?", "x4?", "x5?", "x6?", "x7?", "x8?", "x9?", "x10?", "x11?", "x12?", "x13?", "x14?", "x15?") -> ("y") {
        /// The dimension.
        axis: u8,
    }
    /// Every `step`th element from `start`, along each dimension; any dtype.
    0x0032 Slice "slice" slice ("x") -> ("y") {
        /// First element, counted from 0; unused entries are 0.
        start: [u32; 6],
        /// Distance, not 0; unused entries are 1.
        step: [i32; 6],
    }
    /// Elements added around; the result's shape tells how many at the end. Any dtype.
    /// `reflect` adds fewer than the dimension has. A quantised operand takes the value 0 alone.
    0x0033 Pad "pad" pad ("x") -> ("y") {
        /// Elements added at the start of each dimension; unused entries are 0.
        before: [u32; 6],
        /// What is added.
        mode: PadMode,
        /// Used by `constant`; cast to the dtype.
        value: f32,
    }
    /// Slices picked along one axis by indices, i32 or i64; negative ones count from the end. Any dtype.
    /// The result's shape is that of `x` with `axis` replaced by the shape of `indices`.
    0x0034 Gather "gather" gather ("x", "indices") -> ("y") {
        /// The dimension of `x`.
        axis: u8,
    }
    /// Resized NHWC images; `linear` f32 alone, the others any dtype.
    0x0035 Resize "resize" resize ("x") -> ("y") {
        /// Output over input, height and width.
        scale: [f32; 2],
        /// Sampling.
        mode: ResizeMode,
        /// Coordinate transformation.
        coordinates: ResizeCoordinates,
    }
    /// Repetition to the result's shape by NumPy's rules; any dtype.
    0x0036 Broadcast "broadcast" broadcast ("x") -> ("y") {}
    /// The same elements in another shape; any dtype.
    0x0037 Reshape "reshape" reshape ("x") -> ("y") {}
}
