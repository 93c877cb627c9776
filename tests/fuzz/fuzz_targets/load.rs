//! Loads a file, with and without its checksum, and asks for everything in it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::hint::black_box;
use tern_fuzz::Aligned;
use ternrt::format::golden::Item;
use ternrt::format::header::Section;
use ternrt::{Caps, Model};

fuzz_target!(|bytes: &[u8]| {
    let Some(file) = Aligned::new(bytes) else {
        return;
    };
    let unverified = Model::new_unverified_checksum(file.bytes());
    if let Ok(model) = Model::new(file.bytes()) {
        // The checksum is one check more and no other.
        assert!(unverified.is_ok());
        walk(&model);
    } else if let Ok(model) = unverified {
        walk(&model);
    }
});

fn walk(model: &Model<'_>) {
    assert_eq!(model.header().file_len, model.bytes().len() as u64);
    for section in Section::ALL {
        black_box(model.section(section));
    }
    black_box((model.plan_len(), model.arena_len()));
    black_box(model.arena_len_for(Caps::SCALAR, usize::MAX));

    assert_eq!(model.tensors().count(), model.tensor_count());
    for (id, tensor) in (0..).zip(model.tensors()) {
        assert_eq!(model.tensor(id), Some(tensor));
        black_box((model.tensor_name(&tensor), tensor.shape()));
        if let Some(bytes) = model.constant(&tensor) {
            assert_eq!(bytes.len() as u64, tensor.len);
            black_box(bytes.iter().fold(0u8, |sum, b| sum ^ b));
        }
    }
    assert!(model.tensor(u32::MAX).is_none());

    for entry in 0..model.entry_count() {
        let name = model.entry_name(entry).expect("was checked");
        assert!(model.entry_index(name).is_some_and(|first| first <= entry));
        for info in model.inputs(entry).chain(model.outputs(entry)) {
            let elements = info.dims().iter().product::<usize>();
            assert_eq!(info.elements(), elements);
            black_box((info.name, info.quant));
        }
        for step in model.ops(entry) {
            let (op, io) = (&step.record.op, &step.operands);
            black_box((op.to_string(), op.macs(io), op.weights(io)));
            for threads in [1, 3, usize::MAX] {
                black_box(op.scratch(io, Caps::SCALAR, threads));
                black_box(op.scratch(io, Caps::detect(), threads));
            }
        }
    }
    black_box((model.op_name(0), model.op_name(usize::MAX)));

    for (key, _) in model.metadata_pairs() {
        assert!(model.metadata(key).is_some());
    }
    for case in model.golden() {
        let entry = case.entry as usize;
        let tensors = model.inputs(entry).chain(model.outputs(entry));
        for (item, info) in case.items().zip(tensors) {
            if let Item::Raw(bytes) = item.expect("was checked") {
                assert_eq!(bytes.len(), info.len);
                ternrt::format::golden::error(info.dtype, bytes, bytes).expect("equal lengths");
            }
        }
    }
}
