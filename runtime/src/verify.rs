//! Everything about a file that is checked before it is used, apart from the
//! header and the checksum. The file is taken as hostile. Time is linear in its
//! length; nothing is stored.

use crate::Error;
use crate::arena::{self, overlap};
use crate::format::NONE;
use crate::format::entry::{self, Entry};
use crate::format::golden::{Cases, Item};
use crate::format::header::Section;
use crate::format::metadata::Pairs;
use crate::format::tensor::{Place, Tensor};
use crate::model::{Model, OpStep, Ops};
use crate::ops::Operands;
use core::ops::Range;
use tern_kernels::{Codec, DType};

pub(crate) fn verify(model: &Model<'_>) -> Result<(), Error> {
    for id in 0..model.tensor_count() {
        let id = u32::try_from(id).map_err(|_| Error::Bounds)?;
        check_tensor(model, &model.find(id)?)?;
    }
    check_entries(model)?;
    Pairs::new(model.section(Section::Metadata))?.try_for_each(|pair| pair.map(|_| ()))?;
    check_golden(model)
}

/// The bytes are inside of their place, the name is text, and the scale fits.
fn check_tensor(model: &Model<'_>, tensor: &Tensor) -> Result<(), Error> {
    let range = arena::range(tensor).ok_or(Error::Bounds)?;
    let place_len = match tensor.place {
        Place::Arena => model.header().arena_bytes,
        Place::Data => model.data().len() as u64,
    };
    if range.end as u64 > place_len {
        return Err(Error::Bounds);
    }
    model
        .text(tensor.name_offset, tensor.name_len)
        .ok_or(Error::Bounds)?;

    let plain = tensor.codec == Codec::Plain;
    let largest = match tensor.dtype {
        DType::I8 if plain => i8::MAX as u32,
        DType::I16 if plain => i16::MAX as u32,
        _ => 0,
    };
    if !plain && (tensor.place, tensor.dtype) != (Place::Data, DType::F32) {
        return Err(Error::Malformed);
    }
    if tensor.non_negative && tensor.qmax == 0 {
        return Err(Error::Malformed);
    }
    if tensor.qmax > largest || plain && (tensor.scale == NONE) != (tensor.qmax == 0) {
        return Err(Error::Malformed);
    }
    if tensor.scale == NONE {
        return Ok(());
    }
    let scale = model.find(tensor.scale)?;
    if (scale.dtype, scale.codec, scale.scale) != (DType::F32, Codec::Plain, NONE) {
        return Err(Error::Malformed);
    }
    let fits = if plain {
        scale.elements() == 1
    } else {
        let outputs = tensor.dims.first().map(|&d| d as usize);
        scale.place == Place::Data && tensor.rank != 0 && Some(scale.elements()) == outputs
    };
    if fits { Ok(()) } else { Err(Error::Malformed) }
}

/// Entry points share the op stream out among them, every op fits its
/// operands, and inputs and outputs are where they may be.
fn check_entries(model: &Model<'_>) -> Result<(), Error> {
    let records = model.entry_count().checked_mul(Entry::LEN);
    let records_end = records.and_then(|n| n.checked_add(entry::HEAD));
    if model.entry_count() == 0 || records_end.is_none_or(|end| end > model.entries.len()) {
        return Err(Error::Bounds);
    }
    let (mut next_op, mut next_byte, mut step) = (0u32, 0u32, None);
    let mut next_id = records_end.unwrap_or(0) as u64;
    for index in 0..model.entry_count() {
        let entry = model.entry_record(index)?;
        model
            .text(entry.name_offset, entry.name_len)
            .ok_or(Error::Bounds)?;
        if (entry.first_op, entry.ops_offset) != (next_op, next_byte) {
            return Err(Error::Malformed);
        }
        next_op = next_op.checked_add(entry.op_count).ok_or(Error::Bounds)?;
        next_byte = next_byte.checked_add(entry.ops_len).ok_or(Error::Bounds)?;
        model.op_bytes(&entry).ok_or(Error::Bounds)?;

        let mut ops = Ops::new(model, &entry);
        let mut count = 0u64;
        ops.advance(&mut step)?;
        while let Some(op) = &step {
            check_op(op)?;
            count += 1;
            ops.advance(&mut step)?;
        }
        if count != u64::from(entry.op_count) {
            return Err(Error::Malformed);
        }

        if u64::from(entry.ids_offset) != next_id {
            return Err(Error::Malformed);
        }
        next_id += 4 * (u64::from(entry.inputs) + u64::from(entry.outputs));
        let (inputs, outputs) = entry.ids(model.entries)?;
        for id in inputs.iter() {
            let tensor = model.find(id.ok_or(Error::Malformed)?)?;
            let static_scale =
                tensor.scale == NONE || model.find(tensor.scale)?.place == Place::Data;
            if tensor.place != Place::Arena || tensor.codec != Codec::Plain || !static_scale {
                return Err(Error::Malformed);
            }
        }
        for id in outputs.iter() {
            if model.find(id.ok_or(Error::Malformed)?)?.codec != Codec::Plain {
                return Err(Error::Malformed);
            }
        }
    }
    let ends = (u64::from(next_byte), next_id);
    let lens = (model.section(Section::Ops).len(), model.entries.len());
    if ends == (lens.0 as u64, lens.1 as u64) {
        Ok(())
    } else {
        Err(Error::Malformed)
    }
}

fn check_op(step: &OpStep<'_>) -> Result<(), Error> {
    step.record.check_ids()?;
    let io = &step.operands;
    if io.written().any(|t| t.place != Place::Arena) {
        return Err(Error::BadOp);
    }
    check_overlap(io)?;
    step.record.op.check(io)
}

/// The bytes in the arena; nothing for a constant.
fn arena_range(tensor: &Tensor) -> Range<usize> {
    match tensor.place {
        Place::Arena => arena::range(tensor).unwrap_or(0..0),
        Place::Data => 0..0,
    }
}

/// No result shares a byte with anything else that belongs to the op, except
/// that one result may be the very scale of another.
fn check_overlap(io: &Operands<'_>) -> Result<(), Error> {
    for i in 0..io.output_count() {
        let Ok(result) = io.output(i) else { continue };
        let range = arena_range(result);
        if io.read().any(|t| overlap(&range, &arena_range(t))) {
            return Err(Error::Overlap);
        }
        for j in 0..io.output_count() {
            let other = io.output(j).map(arena_range).unwrap_or_default();
            if i != j && overlap(&range, &other) {
                return Err(Error::Overlap);
            }
            let scale = io.output_scale(j).map(arena_range).unwrap_or_default();
            if overlap(&range, &scale) && (i == j || scale != range) {
                return Err(Error::Overlap);
            }
        }
    }
    Ok(())
}

/// Every case has an entry point and as many items of the right length as that
/// has inputs and outputs; only inputs are generated.
fn check_golden(model: &Model<'_>) -> Result<(), Error> {
    for case in Cases::new(model.section(Section::Golden))? {
        let case = case?;
        let entry = usize::try_from(case.entry).map_err(|_| Error::Bounds)?;
        let record = model.entry_record(entry).map_err(|_| Error::Bounds)?;
        let (inputs, outputs) = record.ids(model.entries)?;
        let mut items = case.items();
        for (i, id) in inputs.iter().chain(outputs.iter()).enumerate() {
            let tensor = model.find(id.ok_or(Error::Malformed)?)?;
            let item = items.next().ok_or(Error::Malformed)??;
            let fits = match item {
                Item::Raw(bytes) => bytes.len() as u64 == tensor.len,
                Item::Generated(_) => i < inputs.len(),
            };
            if !fits {
                return Err(Error::Malformed);
            }
        }
        if items.next().is_some() {
            return Err(Error::Malformed);
        }
    }
    Ok(())
}
