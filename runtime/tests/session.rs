//! Running: values, entry points, golden cases, starvation, threads, tracing.

mod support;

use std::collections::HashMap;
use support::{Aligned, Writer, example, gemm, le_bytes, relu, small_gemm};
use ternrt::format::golden;
use ternrt::kernels::eltwise::UnaryKind;
use ternrt::model::OpStep;
use ternrt::trace::{Memory, Trace};
use ternrt::{Caps, Codec, DType, Error, Model, Options, ParallelFor, Quant, Serial, Session};

#[test]
fn computes_what_the_graph_says() {
    let file = example().finish();
    let model = Model::new(&file).unwrap();
    let mut arena = vec![0xA5; model.arena_len()];
    let mut session = Session::new(&model, &mut arena).unwrap();
    for shift in [0.0f32, 1.0, -1.0] {
        let x = [1.0, 2.0, 3.0, -1.0, -2.0, -3.0].map(|v| v + shift);
        session.input_f32_mut(0).unwrap().copy_from_slice(&x);
        session.run_main().unwrap();
        let b = [1.0, -2.0, 0.5];
        let expected: Vec<f32> = (0..6).map(|i| (x[i] + b[i % 3]).max(0.0)).collect();
        assert_eq!(session.output_f32(0).unwrap(), expected);
        assert_eq!(session.output(0).unwrap(), le_bytes(&expected));
    }
}

#[test]
fn runs_every_entry_point() {
    let file = example().finish();
    let model = Model::new(&file).unwrap();
    assert_eq!(model.entry_count(), 3);
    let join = model.entry_index("join").unwrap();
    let mut arena = vec![0; model.arena_len()];
    let mut session = Session::new(&model, &mut arena).unwrap();
    let bytes = |v: &[i64]| v.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let input = |s: &mut Session<'_, '_>, i: usize, v: &[i64]| {
        s.input_mut_of(join, i).unwrap().copy_from_slice(&bytes(v));
    };
    input(&mut session, 0, &[1, 2]);
    input(&mut session, 1, &[3, 4, 5, i64::MIN]);
    session.run(join).unwrap();
    let joined = session.output_of(join, 0).unwrap();
    assert_eq!(joined, bytes(&[1, 2, 3, 4, 5, i64::MIN]));
    let constant = session.output_of(join, 1).unwrap();
    assert_eq!(constant, le_bytes(&[1.0, -2.0, 0.5]));
    assert_eq!(session.run(3), Err(Error::NoSuchTensor));
}

#[test]
fn tells_names_types_and_shapes() {
    let file = example().finish();
    let model = Model::new(&file).unwrap();
    let x = model.inputs(0).next().unwrap();
    assert_eq!((x.name, x.dtype, x.dims()), ("x", DType::F32, &[2, 3][..]));
    assert_eq!((x.len, x.elements(), x.quant), (24, 6, None));
    let names: Vec<_> = model.inputs(1).map(|t| t.name).collect();
    assert_eq!(names, ["first", "zweite-ä"]);
    assert_eq!(model.outputs(1).len(), 2);
    assert_eq!(model.inputs(9).len(), 0);
    assert_eq!(model.metadata("name"), Some("example"));
    assert_eq!(model.metadata("labels"), Some(""));
    assert_eq!(model.metadata("colour"), None);
    assert_eq!(model.op_name(3), Some("concat"));
    let ops: Vec<_> = model
        .ops(2)
        .map(|s| (s.number, s.record.op.name()))
        .collect();
    assert_eq!(ops, [(4, "quantize"), (5, "dequantize")]);
    let mut arena = vec![0; model.arena_len()];
    let mut session = Session::new(&model, &mut arena).unwrap();
    assert_eq!(session.input_index("x"), Ok(0));
    assert_eq!(session.output_index("x"), Err(Error::NoSuchTensor));
    assert_eq!(session.input_mut(1), Err(Error::NoSuchTensor));
    assert_eq!(session.output(1), Err(Error::NoSuchTensor));
}

#[test]
fn tells_what_integers_stand_for() {
    let mut w = Writer::default();
    let scale = w.constant("s", DType::F32, &[1], &le_bytes(&[0.25]));
    let q = w.arena("q", DType::I16, &[4]);
    w.quantise(q, scale, 32767);
    let x = w.arena("x", DType::F32, &[4]);
    w.op(ternrt::ops::table::Dequantize {}, &[q], &[x]);
    w.entry("main", &[q], &[x]);
    let file = w.finish();
    let model = Model::new(&file).unwrap();
    let quant = model.inputs(0).next().unwrap().quant;
    let expected = Quant {
        qmax: 32767,
        scale: Some(0.25),
    };
    assert_eq!(quant, Some(expected));
    let mut arena = vec![0; model.arena_len()];
    let mut session = Session::new(&model, &mut arena).unwrap();
    assert_eq!(session.input_f32_mut(0), Err(Error::DTypeMismatch));
    session.input_mut(0).unwrap()[..2].copy_from_slice(&(-3i16).to_le_bytes());
    session.run(0).unwrap();
    assert_eq!(session.output_f32(0).unwrap(), [-0.75, 0.0, 0.0, 0.0]);
}

#[test]
fn golden_cases_hold() {
    let file = example().finish();
    let model = Model::new(&file).unwrap();
    let mut arena = vec![0; model.arena_len()];
    let mut session = Session::new(&model, &mut arena).unwrap();
    let mut checked = 0;
    for case in model.golden() {
        let entry = case.entry as usize;
        let mut items = case.items().map(Result::unwrap);
        for (i, info) in model.inputs(entry).enumerate() {
            let to = session.input_mut_of(entry, i).unwrap();
            items.next().unwrap().write(info.dtype, to).unwrap();
        }
        session.run(entry).unwrap();
        for (i, info) in model.outputs(entry).enumerate() {
            let Some(golden::Item::Raw(expected)) = items.next() else {
                panic!("an output is raw")
            };
            let actual = session.output_of(entry, i).unwrap();
            let error = golden::error(info.dtype, actual, expected).unwrap();
            assert!(error <= case.tolerance, "{error}");
            checked += 1;
        }
    }
    assert_eq!(checked, 2);
}

#[test]
fn every_arena_that_is_too_small_is_refused() {
    let file = example().finish();
    let model = Model::new(&file).unwrap();
    let needs = model.arena_len();
    assert!(needs >= model.plan_len() && needs < 4096);
    for past in [0, 1, 4, 63] {
        // An aligned arena may do with less, by what aligning could have cost.
        let enough = needs - 63 + (64 - past) % 64;
        for len in 0..=needs {
            let mut arena = Aligned::zeros(len, past);
            match Session::new(&model, &mut arena) {
                Ok(mut session) => {
                    assert!(len >= enough, "{len} bytes, {past} past");
                    session.input_f32_mut(0).unwrap().fill(1.0);
                    session.run(0).unwrap();
                    assert_eq!(session.output_f32(0).unwrap()[2], 1.5);
                }
                Err(error) => {
                    assert_eq!(error, Error::ArenaTooSmall);
                    assert!(len < enough, "{len} bytes, {past} past");
                }
            }
        }
    }
}

#[test]
fn an_overlap_with_a_result_is_refused_at_load() {
    let mut w = Writer::default();
    let x = w.arena("x", DType::F32, &[64]);
    let y = w.arena("y", DType::F32, &[64]);
    w.op(relu(), &[x], &[y]);
    w.entry("main", &[x], &[y]);
    for (offset, expected) in [
        (0, Err(Error::Overlap)),
        (64, Err(Error::Overlap)),
        (192, Err(Error::Overlap)),
        (256, Ok(())),
        (320, Err(Error::Bounds)),
    ] {
        w.tensors[y as usize].offset = offset;
        let file = w.finish();
        assert_eq!(Model::new(&file).map(|_| ()), expected, "offset {offset}");
    }
}

/// Collects every op's first result.
#[derive(Default)]
struct Values {
    announced: Vec<usize>,
    values: HashMap<usize, Vec<u8>>,
}

impl Trace for Values {
    fn before(&mut self, step: &OpStep<'_>) {
        self.announced.push(step.number);
    }

    fn after(&mut self, step: &OpStep<'_>, memory: &Memory<'_>) {
        let result = step.operands.output(0).unwrap();
        let bytes = memory.bytes(result).unwrap().to_vec();
        self.values.insert(step.number, bytes);
    }
}

#[test]
fn a_trace_sees_every_op_and_its_values() {
    let file = example().finish();
    let model = Model::new(&file).unwrap();
    let mut arena = vec![0; model.arena_len()];
    let mut session = Session::new(&model, &mut arena).unwrap();
    session.input_f32_mut(0).unwrap().fill(1.0);
    let mut trace = Values::default();
    session.run_traced(0, &mut trace).unwrap();
    assert_eq!(trace.announced, [0, 1, 2]);
    let sum = le_bytes(&[2.0, -1.0, 1.5, 2.0, -1.0, 1.5]);
    assert_eq!(trace.values[&0], sum);
    assert_eq!(trace.values[&2], session.output(0).unwrap());
}

#[test]
fn scalar_code_and_this_cpu_agree() {
    let file = example().finish();
    let model = Model::new(&file).unwrap();
    let mut outputs = Vec::new();
    for caps in Caps::detect().levels() {
        let mut arena = vec![0; model.arena_len_for(caps, 1)];
        let options = Options {
            caps,
            parallel: &Serial,
        };
        let mut session = Session::with_options(&model, &mut arena, options).unwrap();
        golden::fill(DType::F32, 3, session.input_mut(0).unwrap());
        session.run(0).unwrap();
        outputs.push(session.output(0).unwrap().to_vec());
    }
    assert!(outputs.windows(2).all(|w| w[0] == w[1]));
}

const M: usize = 7;
const N: usize = 37;
const K: usize = 53;

fn trits() -> Vec<i8> {
    let digit = |i: usize| (i * i * 7 + i / 3) % 3;
    (0..N * K).map(|i| digit(i) as i8 - 1).collect()
}

fn scales() -> Vec<f32> {
    (0..N).map(|o| 0.5 + o as f32 / 64.0).collect()
}

/// `y = w x`, and `z = w q` with `q` made of `x` with a dynamic scale.
fn products(codec: Codec) -> Aligned {
    let mut w = Writer::default();
    let x = w.arena("x", DType::F32, &[M as u32, K as u32]);
    let weights = w.weights(codec, [N, K], &trits(), &scales());
    let y = w.arena("y", DType::F32, &[M as u32, N as u32]);
    let scale = w.arena("scale", DType::F32, &[1]);
    let q = w.arena("q", DType::I16, &[M as u32, K as u32]);
    w.quantise(q, scale, 32767);
    let z = w.arena("z", DType::F32, &[M as u32, N as u32]);
    w.op(gemm(UnaryKind::Identity), &[x, weights], &[y]);
    w.op(ternrt::ops::table::Quantize {}, &[x], &[q, scale]);
    w.op(gemm(UnaryKind::Identity), &[q, weights], &[z]);
    w.entry("main", &[x], &[y, z]);
    w.finish()
}

/// Both outputs, from a generated input.
fn run_products(model: &Model<'_>, options: Options<'_>) -> [Vec<u8>; 2] {
    let needs = model.arena_len_for(options.caps, options.parallel.threads());
    let mut short = vec![0; needs - 64];
    let refused = Session::with_options(model, &mut short, options);
    assert_eq!(refused.err(), Some(Error::ArenaTooSmall));
    let mut arena = vec![0x7F; needs];
    let mut session = Session::with_options(model, &mut arena, options).unwrap();
    golden::fill(DType::F32, 11, session.input_mut(0).unwrap());
    session.run(0).unwrap();
    [0, 1].map(|i| session.output(i).unwrap().to_vec())
}

#[test]
fn products_are_right_on_every_level() {
    let mut bytes = vec![0; 4 * M * K];
    golden::fill(DType::F32, 11, &mut bytes);
    let number = |b: &[u8]| f32::from_le_bytes(b.try_into().unwrap());
    let x: Vec<f32> = bytes.chunks(4).map(number).collect();
    let (trits, scales) = (trits(), scales());
    let sum = |m: usize, o: usize| -> f64 {
        let terms = (0..K).map(|k| f64::from(x[m * K + k]) * f64::from(trits[o * K + k]));
        terms.sum::<f64>() * f64::from(scales[o])
    };
    for codec in [Codec::T2, Codec::T5] {
        let file = products(codec);
        let model = Model::new(&file).unwrap();
        let macs: u64 = model.ops(0).map(|s| s.record.op.macs(&s.operands)).sum();
        assert_eq!(macs, 2 * (M * N * K) as u64);
        for caps in Caps::detect().levels() {
            let options = Options {
                caps,
                parallel: &Serial,
            };
            for (output, bound) in run_products(&model, options).iter().zip([1e-5, 1e-3]) {
                for (i, actual) in output.chunks(4).map(number).enumerate() {
                    let error = f64::from(actual) - sum(i / N, i % N);
                    assert!(error.abs() < bound, "{codec:?} {caps} {i}: {error}");
                }
            }
        }
    }
}

/// Runs its tasks one after the other, but says that it has many threads.
struct Claims(usize);

impl ParallelFor for Claims {
    fn threads(&self) -> usize {
        self.0
    }

    fn run(&self, tasks: usize, f: &(dyn Fn(usize) + Sync)) {
        assert!(tasks <= self.0);
        (0..tasks).rev().for_each(f);
    }
}

#[test]
fn results_do_not_depend_on_threads() {
    let file = products(Codec::T2);
    let model = Model::new(&file).unwrap();
    let alone = run_products(&model, Options::default());
    for threads in [1, 2, 3, 5, 16] {
        let options = Options {
            parallel: &Claims(threads),
            ..Options::default()
        };
        assert_eq!(run_products(&model, options), alone, "{threads} threads");
        #[cfg(feature = "std")]
        {
            let pool = ternrt::ThreadPool::new(threads).unwrap();
            let options = Options {
                parallel: &pool,
                ..Options::default()
            };
            assert_eq!(run_products(&model, options), alone, "pool of {threads}");
        }
    }
}

#[test]
fn weights_that_are_no_trits_do_no_harm() {
    for (codec, byte) in [(Codec::T2, 0xFF), (Codec::T5, 0xFF)] {
        let mut file = products(codec);
        let model = Model::new(&file).unwrap();
        let w = model.tensors().find(|t| t.codec == codec).unwrap();
        let data = model
            .header()
            .section(ternrt::format::header::Section::Data)
            .offset;
        let start = (data + w.offset) as usize;
        let end = start + w.len as usize;
        file[start..end].fill(byte);
        let model = Model::new_unverified_checksum(&file).unwrap();
        run_products(&model, Options::default());
    }
}

/// The file of the documentation's example; `TERN_BLESS=1` writes it anew.
#[test]
fn the_documentations_file_is_current() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/gemm.tern");
    let file = small_gemm().finish();
    if std::env::var_os("TERN_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &*file).unwrap();
    }
    let committed = std::fs::read(&path).unwrap();
    assert!(
        committed == *file,
        "run `TERN_BLESS=1 cargo test -p ternrt`"
    );
}
