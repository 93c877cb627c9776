//! The text form of a graph: printed by [`print()`], read by [`parse`].
//!
//! ```text
//! graph "digits"
//! metadata "licence" = "MIT"
//! input %0 "image" : f32[1,8,8,1]
//! constant %1 "conv1.weight" : ternary[2,1,2,1] = trits(+0-+) scale=[0.5,0.25]
//! constant %2 "conv1.bias" : f32[2] = [0.1,-0.2]
//! %3 "conv1" = conv2d(%0, %1, %2) kernel=[1,2] activation=relu : f32[1,8,7,2]
//! %4, %5 "q" = quantize(%3) : i8[1,8,7,2] q127 @ %5, f32[1]
//! output "features" = %4
//! ```
//!
//! - One definition a line; `//` starts a comment. Strings take `\"`, `\\`,
//!   `\n`, `\r`, `\t` and `\u{..}`.
//! - A value is `%` and its number in the graph, or (read only) a word; words
//!   get the numbers behind the largest one. A value whose name is not its
//!   node's or input's is followed by it: `%3("other")`. An absent operand is `_`.
//! - Attributes that are left out have their usual value (`stride=[1,1]`,
//!   `pads=[0,0,0,0]`, `group=1`, `activation=identity` ...), lists by dimension
//!   (`perm`, `start`, `step`, `before`) stop at the operand's rank.
//! - A node's types may be left out where the operands determine them.
//! - Constants: `[1.0,2.0]`, `hex(..)` (little-endian bytes), `trits(+0-..)
//!   scale=[..]` and `integers[..] scale=[..]` (type `ternary` and `scaled`); read only: `random(SEED)` (f32 in -1..1, small integers),
//!   `ternary(SEED)` (trits and scales), `fill(VALUE)`. ` codec=NAME` before the
//!   colon states a chosen codec.

mod cursor;
mod data;
mod parse;
mod print;
#[cfg(test)]
mod tests;

pub use parse::parse;
pub use print::{Constants, print};

/// What an attribute is where the text leaves it out, if there is a usual value.
fn usual(attribute: &str) -> Option<&'static str> {
    Some(match attribute {
        "stride" | "dilation" => "[1,1]",
        "pads" => "[0,0,0,0]",
        "group" => "1",
        "activation" => "identity",
        "transposed" | "transpose_a" | "transpose_b" | "count_include_pad" | "log" => "false",
        "value" => "0.0",
        _ => return None,
    })
}

/// The value of unused entries of an attribute that lists something by
/// dimension, up to the greatest rank.
fn unused_entry(attribute: &str) -> Option<&'static str> {
    match attribute {
        "perm" | "start" | "before" => Some("0"),
        "step" => Some("1"),
        _ => None,
    }
}
