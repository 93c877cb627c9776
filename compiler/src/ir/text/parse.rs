//! Reading.

use super::cursor::Cursor;
use super::{data, unused_entry, usual};
use crate::ir::{Constant, Def, Graph, Node, Quant, Scale, Type, Value, ValueId};
use crate::ops;
use anyhow::Result;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use ternrt::kernels::MAX_RANK;
use ternrt::ops::Op;
use ternrt::{Codec, DType};

/// Numbers of values are below this; words are numbered from here until the end is known.
const WORDS: usize = 1 << 20;

/// Reads the text form. Errors tell line, column and what was expected. The
/// graph has not been verified.
pub fn parse(text: &str) -> Result<Graph> {
    let mut parser = Parser::default();
    for (i, line) in text.lines().enumerate() {
        let mut at = Cursor::new(i + 1, line);
        if !at.at_end() {
            parser.line(&mut at)?;
            at.end()?;
        }
    }
    parser.finish()
}

#[derive(Default)]
struct Parser<'t> {
    graph: Graph,
    values: BTreeMap<usize, Value>,
    words: HashMap<&'t str, usize>,
    /// Where each value was first mentioned.
    mentioned: BTreeMap<usize, Cursor<'t>>,
}

impl<'t> Parser<'t> {
    fn line(&mut self, at: &mut Cursor<'t>) -> Result<()> {
        let mut start = *at;
        if start.eat("%") {
            return self.node(at);
        }
        match at.word("`graph`, `metadata`, `input`, `constant`, `output` or a value")? {
            "graph" => self.graph.name = at.string("the graph's name")?,
            "metadata" => {
                let key = at.string("a key")?;
                at.expect("=")?;
                let value = at.string("a value")?;
                self.graph.metadata.insert(key, value);
            }
            "input" => {
                let place = *at;
                let (id, value_name) = self.definition(at)?;
                let name = at.string("the input's name")?;
                at.expect(":")?;
                let ty = self.ty(at)?;
                let def = Def::Input(self.graph.inputs.len());
                let value = Value {
                    name: value_name.unwrap_or_else(|| name.clone()),
                    ty,
                    def,
                    codec: None,
                };
                self.define(&place, id, value)?;
                self.graph.inputs.push((name, id));
            }
            "constant" => self.constant(at)?,
            "output" => {
                let name = at.string("the output's name")?;
                at.expect("=")?;
                let id = self.reference(at)?;
                self.graph.outputs.push((name, id));
            }
            _ => {
                let what = "`graph`, `metadata`, `input`, `constant`, `output` or a value";
                return Err(start.expected(what));
            }
        }
        Ok(())
    }

    /// `%7` or `%word`.
    fn reference(&mut self, at: &mut Cursor<'t>) -> Result<ValueId> {
        let start = *at;
        at.expect("%")?;
        let word = at.word("a value's number or word")?;
        let id = if word.starts_with(|c: char| c.is_ascii_digit()) {
            let id = word.parse().ok().filter(|&id| id < WORDS);
            id.ok_or_else(|| start.expected("a number below 1048576"))?
        } else {
            let next = WORDS + self.words.len();
            *self.words.entry(word).or_insert(next)
        };
        self.mentioned.entry(id).or_insert(start);
        Ok(ValueId(id))
    }

    /// A value that is being defined, and its own name, if stated.
    fn definition(&mut self, at: &mut Cursor<'t>) -> Result<(ValueId, Option<String>)> {
        let id = self.reference(at)?;
        let mut name = None;
        if at.eat("(") {
            name = Some(at.string("the value's name")?);
            at.expect(")")?;
        }
        Ok((id, name))
    }

    fn define(&mut self, place: &Cursor<'t>, id: ValueId, value: Value) -> Result<()> {
        match self.values.insert(id.0, value) {
            None => Ok(()),
            Some(_) => Err(place.error("this value is defined twice")),
        }
    }

    fn ty(&mut self, at: &mut Cursor<'t>) -> Result<Type> {
        let start = *at;
        let word = at.word("a type such as `f32[1,2]`")?;
        let dtype = DType::ALL.into_iter().find(|d| d.name() == word);
        let dtype = dtype.ok_or_else(|| start.expected("a type such as `f32[1,2]`"))?;
        self.ty_of(dtype, at)
    }

    /// The rest of a type behind its dtype.
    fn ty_of(&mut self, dtype: DType, at: &mut Cursor<'t>) -> Result<Type> {
        let mut ty = Type::new(dtype, at.list::<usize>("a dimension")?);
        if at.eat("q") {
            let qmax = at.number("the largest magnitude")?;
            at.expect("@")?;
            let mut dynamic = *at;
            let scale = if dynamic.eat("%") {
                Scale::Dynamic(self.reference(at)?)
            } else {
                Scale::Static(at.number("a scale")?)
            };
            ty.quant = Some(Quant { qmax, scale });
        }
        Ok(ty)
    }

    fn constant(&mut self, at: &mut Cursor<'t>) -> Result<()> {
        let place = *at;
        let id = self.reference(at)?;
        let name = at.string("the constant's name")?;
        let mut codec = None;
        if at.eat("codec=") {
            let start = *at;
            let word = at.word("a codec")?;
            codec = Codec::ALL.into_iter().find(|c| c.name() == word);
            codec.ok_or_else(|| start.expected("a codec such as `t2`"))?;
        }
        at.expect(":")?;
        let (ty, constant);
        if at.eat("ternary") || at.eat("scaled") {
            ty = self.ty_of(DType::F32, at)?;
            at.expect("=")?;
            constant = Constant::Scaled(data::scaled(&ty, at)?);
        } else {
            ty = self.ty(at)?;
            at.expect("=")?;
            constant = Constant::Dense(data::dense(&ty, at)?);
        }
        let def = Def::Const(Arc::new(constant));
        self.define(
            &place,
            id,
            Value {
                name,
                ty,
                def,
                codec,
            },
        )
    }

    fn node(&mut self, at: &mut Cursor<'t>) -> Result<()> {
        let place = *at;
        let mut results = vec![self.definition(at)?];
        while at.eat(",") {
            results.push(self.definition(at)?);
        }
        let name = at.string("the node's name")?;
        at.expect("=")?;
        let op_place = *at;
        let op_name = at.word("an op")?;
        at.expect("(")?;
        let mut inputs = Vec::new();
        while !at.eat(")") {
            if !inputs.is_empty() {
                at.expect(",")?;
            }
            inputs.push(if at.eat("_") {
                None
            } else {
                Some(self.reference(at)?)
            });
        }
        let op = attributes(&op_place, op_name, at)?;

        let types = if at.eat(":") {
            let mut types = vec![self.ty(at)?];
            while at.eat(",") {
                types.push(self.ty(at)?);
            }
            types
        } else {
            let operands = inputs.iter().map(|id| match id {
                None => Ok(None),
                Some(ValueId(id)) => match self.values.get(id) {
                    Some(value) => Ok(Some(&value.ty)),
                    None => Err(at.expected("`:` and types, as an operand is not defined yet")),
                },
            });
            let operands = operands.collect::<Result<Vec<Option<&Type>>>>()?;
            ops::infer(&op, &operands, None).map_err(|e| place.error(format_args!("{e:#}")))?
        };
        if types.len() != results.len() {
            let message = format!("{} results with {} types", results.len(), types.len());
            return Err(place.error(message));
        }
        let outputs = results.iter().map(|(id, _)| *id).collect();
        for ((id, own), ty) in results.into_iter().zip(types) {
            let name = own.unwrap_or_else(|| name.clone());
            self.define(
                &place,
                id,
                Value {
                    name,
                    ty,
                    def: Def::Node,
                    codec: None,
                },
            )?;
        }
        self.graph.nodes.push(Node {
            name,
            op,
            inputs,
            outputs,
        });
        Ok(())
    }

    /// Numbers the words and puts the values in their places.
    fn finish(self) -> Result<Graph> {
        let Parser {
            mut graph,
            values,
            mentioned,
            ..
        } = self;
        if let Some((_, place)) = mentioned.iter().find(|(id, _)| !values.contains_key(id)) {
            return Err(place.error("this value is defined nowhere"));
        }
        let numbers = values
            .keys()
            .filter(|&&id| id < WORDS)
            .max()
            .map_or(0, |id| id + 1);
        let number = |id: &mut ValueId| {
            if id.0 >= WORDS {
                id.0 = id.0 - WORDS + numbers;
            }
        };
        let unused = Value {
            name: String::new(),
            ty: Type::new(DType::F32, []),
            def: Def::Node,
            codec: None,
        };
        for (id, mut value) in values {
            let mut id = ValueId(id);
            number(&mut id);
            if let Some(Quant {
                scale: Scale::Dynamic(scale),
                ..
            }) = &mut value.ty.quant
            {
                number(scale);
            }
            graph.values.resize(id.0, unused.clone());
            graph.values.push(value);
        }
        graph.inputs.iter_mut().for_each(|(_, id)| number(id));
        graph.outputs.iter_mut().for_each(|(_, id)| number(id));
        for node in &mut graph.nodes {
            node.inputs.iter_mut().flatten().for_each(number);
            node.outputs.iter_mut().for_each(number);
        }
        Ok(graph)
    }
}

/// `attribute=value` up to the types, and the op that they make.
fn attributes(place: &Cursor<'_>, op: &str, at: &mut Cursor<'_>) -> Result<Op> {
    let mut given: Vec<(&str, String)> = Vec::new();
    let mut end = *at;
    while !end.at_end() && !end.eat(":") {
        let start = *at;
        let name = at.word("an attribute or `:`")?;
        at.expect("=")?;
        let value = at.take("the attribute's value", |c| !c.is_whitespace())?;
        if given.iter().any(|(n, _)| *n == name) {
            return Err(start.error(format_args!("attribute `{name}` is given twice")));
        }
        let value = match unused_entry(name) {
            Some(unused) => lengthen(value, unused),
            None => value.to_string(),
        };
        given.push((name, value));
        end = *at;
    }
    let value = |name: &str| match given.iter().find(|(n, _)| *n == name) {
        Some((_, value)) => Some(value.as_str()),
        None => usual(name),
    };
    let parsed = Op::parse(op, value).map_err(|attribute| match attribute {
        "" => place.error(format_args!("there is no op `{op}`")),
        a => match value(a) {
            None => place.error(format_args!("{op}: attribute `{a}` is missing")),
            Some(v) => place.error(format_args!("{op}: attribute `{a}` cannot be `{v}`")),
        },
    })?;
    let known = parsed.row().attributes;
    match given.iter().find(|(name, _)| !known.contains(name)) {
        None => Ok(parsed),
        Some((name, _)) => Err(place.error(format_args!(
            "{op} has no attribute `{name}`, only {}",
            known.join(", ")
        ))),
    }
}

/// A list with unused entries up to the greatest rank.
fn lengthen(value: &str, unused: &str) -> String {
    let inner = value.trim_start_matches('[').trim_end_matches(']');
    let mut entries: Vec<&str> = inner.split(',').filter(|e| !e.is_empty()).collect();
    while entries.len() < MAX_RANK {
        entries.push(unused);
    }
    format!("[{}]", entries.join(","))
}
