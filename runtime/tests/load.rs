//! Loading: truncation, alteration, and everything that a file must not say.

mod support;

use support::{Aligned, Writer, example, relu, small_gemm};
use ternrt::format::checksum;
use ternrt::format::golden::Item;
use ternrt::format::header::{Header, Section};
use ternrt::format::tensor::Place;
use ternrt::ops::table::Reshape;
use ternrt::{Codec, DType, Error, Model, Session};

fn error_of(w: &Writer) -> Option<Error> {
    Model::new(&w.finish()).err()
}

/// `y = relu(x)`, 4 numbers.
fn small() -> Writer {
    let mut w = Writer::default();
    let x = w.arena("x", DType::F32, &[4]);
    let y = w.arena("y", DType::F32, &[4]);
    w.op(relu(), &[x], &[y]);
    w.entry("main", &[x], &[y]);
    w
}

#[test]
fn every_truncation_is_refused() {
    let file = example().finish();
    for len in 0..file.len() {
        let expected = Some(Error::Truncated);
        assert_eq!(Model::new(&file[..len]).err(), expected, "{len} bytes");
        let cut = Model::new_unverified_checksum(&file[..len]);
        assert_eq!(cut.err(), expected, "{len} bytes");
    }
    let longer = Aligned::new(&[&file[..], &[0; 64]].concat());
    assert_eq!(Model::new(&longer).err(), Some(Error::Truncated));
}

#[test]
fn every_altered_byte_is_noticed() {
    let mut file = example().finish();
    for at in 0..file.len() {
        for bit in 0..8 {
            file[at] ^= 1 << bit;
            assert!(Model::new(&file).is_err(), "byte {at}, bit {bit}");
            file[at] ^= 1 << bit;
        }
    }
    assert!(Model::new(&file).is_ok());
}

/// Runs all entry points if the model loads and wants little memory.
fn load_and_run(file: &[u8]) -> Result<(), Error> {
    let model = Model::new_unverified_checksum(file)?;
    let _ = model.tensors().count() + model.metadata_pairs().count() + model.golden().count();
    let needs = model.arena_len();
    if needs > 1 << 16 {
        return Ok(());
    }
    let mut arena = vec![0xFF; needs];
    let mut session = Session::new(&model, &mut arena)?;
    for entry in 0..model.entry_count() {
        for i in 0..model.inputs(entry).len() {
            session.input_mut_of(entry, i)?.fill(0x41);
        }
        session.run(entry)?;
        for i in 0..model.outputs(entry).len() {
            session.output_of(entry, i)?;
        }
    }
    Ok(())
}

/// Loads and runs with each byte of header and tables changed to what `values`
/// says of it; gives how many loads went well and how many were refused.
fn with_every_byte_changed<I: Iterator<Item = u8>>(
    file: &mut [u8],
    values: impl Fn(u8) -> I,
) -> [usize; 2] {
    let header = Header::decode(file).unwrap();
    let sections = Section::ALL.into_iter().filter(|s| *s != Section::Data);
    let spans = sections.map(|s| header.section(s));
    let ranges = spans.map(|s| s.offset as usize..(s.offset + s.len) as usize);
    let places: Vec<_> = (0..Header::LEN).chain(ranges.flatten()).collect();
    let mut outcomes = [0, 0];
    for at in places {
        let original = file[at];
        for value in values(original) {
            file[at] = value;
            outcomes[usize::from(load_and_run(file).is_err())] += 1;
        }
        file[at] = original;
    }
    outcomes
}

#[test]
fn every_byte_of_header_and_tables_may_take_every_value() {
    let mut w = small();
    w.case(0, 0.5, &[Item::Generated(1), Item::Raw(&[0; 16])]);
    w.metadata("name", "n");
    let [loaded, refused] = with_every_byte_changed(&mut w.finish(), |_| 0..=255);
    assert!(loaded > 1000 && refused > 10_000, "{loaded} {refused}");
}

#[test]
fn every_bit_of_a_larger_files_tables_may_change() {
    let bits = |original| (0..8).map(move |bit| original ^ 1 << bit);
    for mut file in [example().finish(), small_gemm().finish()] {
        let [loaded, refused] = with_every_byte_changed(&mut file, bits);
        assert!(loaded > 100 && refused > 1000, "{loaded} {refused}");
    }
}

#[test]
fn refuses_other_files_and_versions() {
    assert_eq!(Model::new(b"").err(), Some(Error::Truncated));
    assert_eq!(Model::new(b"GIF89a").err(), Some(Error::NotTern));
    assert_eq!(Model::new(&[0; 4096]).err(), Some(Error::NotTern));
    let mut file = small().finish();
    for (at, value) in [(8, 2), (10, 1)] {
        let original = file[at];
        file[at] = value;
        checksum::seal(&mut file).unwrap();
        assert_eq!(Model::new(&file).err(), Some(Error::Version));
        file[at] = original;
    }
}

#[test]
fn refuses_bytes_that_are_not_aligned() {
    let file = small().finish();
    for past in 1..8 {
        let mut moved = Aligned::zeros(file.len(), past);
        moved.copy_from_slice(&file);
        assert_eq!(Model::new(&moved).err(), Some(Error::Misaligned));
    }
    let mut moved = Aligned::zeros(file.len(), 8);
    moved.copy_from_slice(&file);
    assert!(Model::new(&moved).is_ok());
}

/// Spoils the small graph and expects the error.
fn spoil(expected: Error, change: impl FnOnce(&mut Writer)) {
    let mut w = small();
    assert_eq!(error_of(&w), None);
    change(&mut w);
    assert_eq!(error_of(&w), Some(expected));
}

#[test]
fn refuses_tensors_out_of_bounds() {
    spoil(Error::Bounds, |w| w.tensors[1].offset = 128);
    spoil(Error::Bounds, |w| w.tensors[1].offset = u64::MAX - 63);
    spoil(Error::Malformed, |w| w.tensors[1].offset = 32);
    spoil(Error::Malformed, |w| w.tensors[1].len = 12);
    spoil(Error::Malformed, |w| w.tensors[1].dims[0] = 5);
    spoil(Error::Bounds, |w| w.arena = 64);
    spoil(Error::Bounds, |w| w.arena = u64::MAX);
    spoil(Error::Bounds, |w| w.tensors[0].name_len = 99);
    spoil(Error::Malformed, |w| w.tensors[0].rank = 7);
    spoil(Error::Malformed, |w| w.tensors[0].dims[3] = 2);
    spoil(Error::Bounds, |w| {
        w.constant("c", DType::F32, &[4], &[0; 16]);
        w.data.truncate(12);
    });
}

#[test]
fn refuses_names_that_are_not_text() {
    spoil(Error::Bounds, |w| {
        w.strings.push('ä');
        w.tensors[0].name_offset = w.strings.len() as u32 - 1;
        w.tensors[0].name_len = 1;
    });
    let mut file = small().finish();
    file[192] = 0xFF;
    assert_eq!(
        Model::new_unverified_checksum(&file).err(),
        Some(Error::Malformed)
    );
}

#[test]
fn refuses_ops_that_do_not_fit() {
    spoil(Error::Bounds, |w| w.ops[8] = 9);
    spoil(Error::BadOp, |w| w.ops[8..12].fill(0xFF));
    spoil(Error::Overlap, |w| w.ops[12] = 0);
    spoil(Error::UnknownOp, |w| w.ops[1] = 0x7F);
    spoil(Error::Malformed, |w| w.ops[2] += 1);
    spoil(Error::Malformed, |w| w.ops[4] = 2);
    spoil(Error::BadOp, |w| w.tensors[1].dtype = DType::I32);
    spoil(Error::BadOp, |w| {
        let c = w.constant("c", DType::F32, &[4], &[0; 16]);
        w.ops[12] = c as u8;
    });
}

#[test]
fn refuses_entry_points_that_do_not_fit() {
    spoil(Error::Bounds, |w| w.entries.clear());
    spoil(Error::Malformed, |w| w.entries[0].0.op_count = 2);
    spoil(Error::Malformed, |w| w.entries[0].0.first_op = 1);
    spoil(Error::Bounds, |w| w.entries[0].0.ops_len += 4);
    spoil(Error::Malformed, |w| w.entries[0].0.inputs = 0);
    spoil(Error::Bounds, |w| w.entries[0].0.outputs = u32::MAX);
    spoil(Error::Bounds, |w| w.entries[0].1[0] = 5);
    spoil(Error::Malformed, |w| w.entries[0].1[1] = u32::MAX);
    // Ops that belong to no entry point.
    spoil(Error::Malformed, |w| w.op(Reshape {}, &[0], &[1]));
    // An input that is a constant.
    spoil(Error::Malformed, |w| {
        w.entries[0].1[0] = w.constant("c", DType::F32, &[4], &[0; 16]);
    });
}

#[test]
fn refuses_scales_that_do_not_fit() {
    let quantised = |w: &mut Writer| {
        let s = w.constant("s", DType::F32, &[1], &[0; 4]);
        let q = w.arena("q", DType::I8, &[4]);
        w.quantise(q, s, 127);
        (s as usize, q as usize)
    };
    let mut w = small();
    let (_, q) = quantised(&mut w);
    assert_eq!(error_of(&w), None);
    w.tensors[q].non_negative = true;
    assert_eq!(error_of(&w), None);
    let spoil = |expected, change: &dyn Fn(&mut Writer, usize, usize)| {
        spoil(expected, |w| {
            let (s, q) = quantised(w);
            change(w, s, q);
        });
    };
    spoil(Error::Malformed, &|w, _, q| w.tensors[q].qmax = 0);
    // Nothing is known of the signs of what is not quantised.
    spoil(Error::Malformed, &|w, s, _| {
        w.tensors[s].non_negative = true;
    });
    spoil(Error::Malformed, &|w, _, q| w.tensors[q].qmax = 128);
    spoil(Error::Malformed, &|w, s, _| w.tensors[s].dtype = DType::I32);
    spoil(Error::Bounds, &|w, _, q| w.tensors[q].scale = 77);
    spoil(Error::Malformed, &|w, _, q| w.tensors[q].scale = q as u32);
    spoil(Error::Malformed, &|w, s, _| {
        (w.tensors[s].dims[0], w.tensors[s].len) = (0, 0);
    });
    spoil(Error::Malformed, &|w, _, q| w.tensors[q].dtype = DType::U8);
    // A dynamic scale that nothing computes: an input.
    spoil(Error::Malformed, &|w, _, q| {
        w.tensors[q].scale = w.arena("d", DType::F32, &[1]);
        w.entries[0].1[0] = q as u32;
    });
    // Packed weights in the arena.
    spoil(Error::Malformed, &|w, _, _| {
        let t = w.arena("t", DType::F32, &[16, 16]);
        w.tensors[t as usize].codec = Codec::T2;
        w.tensors[t as usize].place = Place::Arena;
    });
}

#[test]
fn refuses_reserved_features() {
    let file = small().finish();
    let tensors = Header::decode(&file)
        .unwrap()
        .section(Section::Tensors)
        .offset as usize;
    for (at, value) in [(0, 2), (52, 1), (52, 0x40), (53, 2), (54, 1), (55, 1)] {
        let mut file = small().finish();
        file[tensors + at] = value;
        checksum::seal(&mut file).unwrap();
        assert_eq!(Model::new(&file).err(), Some(Error::Unsupported), "{at}");
    }
}

#[test]
fn refuses_golden_cases_that_do_not_fit() {
    let (x, y) = ([0; 16], [0; 16]);
    let with = |entry, items: &[Item<'_>]| {
        let mut w = small();
        w.case(entry, 0.0, items);
        error_of(&w)
    };
    assert_eq!(with(0, &[Item::Raw(&x), Item::Raw(&y)]), None);
    assert_eq!(with(0, &[Item::Generated(1), Item::Raw(&y)]), None);
    let malformed = Some(Error::Malformed);
    assert_eq!(with(0, &[Item::Raw(&x), Item::Generated(1)]), malformed);
    assert_eq!(with(0, &[Item::Raw(&x[1..]), Item::Raw(&y)]), malformed);
    assert_eq!(with(0, &[Item::Raw(&x)]), malformed);
    let three = [Item::Raw(&x), Item::Raw(&y), Item::Raw(&y)];
    assert_eq!(with(0, &three), malformed);
    let pair = [Item::Raw(&x), Item::Raw(&y)];
    assert_eq!(with(1, &pair), Some(Error::Bounds));
}
