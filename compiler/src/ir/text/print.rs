//! Printing.

use super::{unused_entry, usual};
use crate::ir::{Constant, Data, Def, Graph, Node, Tensor, ValueId};
use std::fmt::{self, Write};

/// Up to this many elements are printed as a list.
const LIST: usize = 16;

/// How much of large constants is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Constants {
    /// Everything; [`parse`](super::parse) gives the same graph again.
    Full,
    /// `elided` in place of the data; for people.
    Elided,
}

/// The text form of a graph.
pub fn print(graph: &Graph, constants: Constants) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(graph, constants, &mut out);
    out
}

/// With large constants elided.
impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(self, Constants::Elided, f)
    }
}

fn write(graph: &Graph, constants: Constants, f: &mut dyn Write) -> fmt::Result {
    writeln!(f, "graph {}", Quoted(&graph.name))?;
    for (key, value) in &graph.metadata {
        writeln!(f, "metadata {} = {}", Quoted(key), Quoted(value))?;
    }
    for (name, id) in &graph.inputs {
        f.write_str("input ")?;
        definition(graph, *id, name, f)?;
        writeln!(f, " {} : {}", Quoted(name), graph.ty(*id))?;
    }
    for (i, value) in graph.values.iter().enumerate() {
        if let Def::Const(constant) = &value.def {
            write!(f, "constant %{i} {}", Quoted(&value.name))?;
            if let Some(codec) = value.codec {
                write!(f, " codec={}", codec.name())?;
            }
            let ty = value.ty.to_string();
            match &**constant {
                Constant::Dense(t) => {
                    write!(f, " : {ty} = ")?;
                    dense(t, constants, f)?;
                }
                Constant::Scaled(t) => {
                    let ternary = t.is_ternary();
                    let kind = if ternary { "ternary" } else { "scaled" };
                    write!(f, " : {kind}{} = ", ty.trim_start_matches("f32"))?;
                    if t.values.len() > LIST && constants == Constants::Elided {
                        f.write_str("elided")?;
                    } else if !ternary {
                        f.write_str("integers")?;
                        list(t.values.iter().map(i8::to_string), f)?;
                        f.write_str(" scale=")?;
                        list(t.scale.iter().map(|s| format!("{s:?}")), f)?;
                    } else {
                        f.write_str("trits(")?;
                        for t in &t.values {
                            f.write_char(match t {
                                0 => '0',
                                1.. => '+',
                                _ => '-',
                            })?;
                        }
                        f.write_str(") scale=")?;
                        list(t.scale.iter().map(|s| format!("{s:?}")), f)?;
                    }
                }
            }
            f.write_char('\n')?;
        }
    }
    for node in &graph.nodes {
        write_node(graph, node, f)?;
    }
    for (name, id) in &graph.outputs {
        writeln!(f, "output {} = %{}", Quoted(name), id.0)?;
    }
    Ok(())
}

/// `%7`, or `%7("name")` where the value's name is not the expected one.
fn definition(graph: &Graph, id: ValueId, expected: &str, f: &mut dyn Write) -> fmt::Result {
    write!(f, "%{}", id.0)?;
    match &graph.value(id).name {
        name if name == expected => Ok(()),
        name => write!(f, "({})", Quoted(name)),
    }
}

fn write_node(graph: &Graph, node: &Node, f: &mut dyn Write) -> fmt::Result {
    for (i, id) in node.outputs.iter().enumerate() {
        f.write_str(if i > 0 { ", " } else { "" })?;
        definition(graph, *id, &node.name, f)?;
    }
    write!(f, " {} = {}(", Quoted(&node.name), node.op.name())?;
    for (i, id) in node.inputs.iter().enumerate() {
        f.write_str(if i > 0 { ", " } else { "" })?;
        match id {
            Some(id) => write!(f, "%{}", id.0)?,
            None => f.write_str("_")?,
        }
    }
    f.write_str(")")?;
    let rank = (node.inputs.first().copied().flatten()).map_or(0, |x| graph.ty(x).shape.len());
    // The op prints itself as its name and `attribute=value` for each attribute.
    for attribute in node.op.to_string().split(' ').skip(1) {
        let Some((name, value)) = attribute.split_once('=') else {
            continue;
        };
        if usual(name) == Some(value) {
            continue;
        }
        match unused_entry(name) {
            Some(unused) => write!(f, " {name}={}", shorten(value, unused, rank))?,
            None => write!(f, " {name}={value}")?,
        }
    }
    f.write_str(" : ")?;
    for (i, id) in node.outputs.iter().enumerate() {
        write!(f, "{}{}", if i > 0 { ", " } else { "" }, graph.ty(*id))?;
    }
    f.write_char('\n')
}

/// A list without the unused entries beyond the rank.
fn shorten(value: &str, unused: &str, rank: usize) -> String {
    let inner = value.trim_start_matches('[').trim_end_matches(']');
    let mut entries: Vec<&str> = inner.split(',').collect();
    while entries.len() > rank && entries.last() == Some(&unused) {
        entries.pop();
    }
    format!("[{}]", entries.join(","))
}

fn dense(t: &Tensor, constants: Constants, f: &mut dyn Write) -> fmt::Result {
    if t.data.len() <= LIST {
        match &t.data {
            Data::F32(v) if v.iter().all(|x| !x.is_nan()) => {
                return list(v.iter().map(|x| format!("{x:?}")), f);
            }
            Data::F16(v) => {
                let numbers: Vec<f32> = v
                    .iter()
                    .map(|&b| half::f16::from_bits(b).to_f32())
                    .collect();
                if numbers.iter().all(|x| !x.is_nan()) {
                    return list(numbers.iter().map(|x| format!("{x:?}")), f);
                }
            }
            // NaNs are printed as bits.
            Data::F32(_) => {}
            Data::I8(v) => return list(v.iter().map(|x| x.to_string()), f),
            Data::U8(v) => return list(v.iter().map(|x| x.to_string()), f),
            Data::I16(v) => return list(v.iter().map(|x| x.to_string()), f),
            Data::I32(v) => return list(v.iter().map(|x| x.to_string()), f),
            Data::I64(v) => return list(v.iter().map(|x| x.to_string()), f),
            Data::Bool(v) => return list(v.iter().map(|x| x.to_string()), f),
        }
    } else if constants == Constants::Elided {
        return f.write_str("elided");
    }
    f.write_str("hex(")?;
    for byte in t.data.to_le_bytes() {
        write!(f, "{byte:02x}")?;
    }
    f.write_str(")")
}

fn list(values: impl Iterator<Item = String>, f: &mut dyn Write) -> fmt::Result {
    f.write_str("[")?;
    for (i, v) in values.enumerate() {
        f.write_str(if i > 0 { "," } else { "" })?;
        f.write_str(&v)?;
    }
    f.write_str("]")
}

/// A string in quotes.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for c in self.0.chars() {
            match c {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                c if c.is_control() => write!(f, "\\u{{{:x}}}", c as u32)?,
                c => f.write_char(c)?,
            }
        }
        f.write_str("\"")
    }
}
