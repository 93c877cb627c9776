//! What the families' tests share: random data, hosts with threads, and the
//! families that are convolutions; [`Case`] compares these with an oracle.

mod case;

pub(crate) use case::Case;

use crate::conv2d::{self, Conv2dShape};
use crate::gemm::{self, GemmShape};
use crate::layout::{BLOCK, Block};
use crate::{
    Caps, Codec, Ctx, DType, Epilogue, Invalid, Matrix, ParallelFor, Variant, View, ViewMut,
    Weights, depthwise,
};
use std::println;
use std::vec;
use std::vec::Vec;

/// SplitMix64.
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Rng {
        println!("seed {seed}");
        Rng(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// In `0..n`.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// In `-1.0..1.0`.
    pub(crate) fn f32(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    pub(crate) fn f32s(&mut self, len: usize) -> Vec<f32> {
        (0..len).map(|_| self.f32()).collect()
    }

    pub(crate) fn trits(&mut self, len: usize) -> Vec<i8> {
        (0..len).map(|_| self.below(3) as i8 - 1).collect()
    }
}

/// Random weights that an integer codec holds.
pub(crate) fn integers(codec: Codec, len: usize, rng: &mut Rng) -> Vec<i8> {
    match codec {
        Codec::I8 => (0..len)
            .map(|_| (rng.below(255) as i32 - 127) as i8)
            .collect(),
        Codec::N12 => {
            let mut pairs = vec![[0, 0]; len / 2];
            for pair in &mut pairs {
                pair[rng.below(2)] = rng.pick(&[-1, 1]);
            }
            pairs.into_flattened()
        }
        Codec::N34 => {
            let mut fours = vec![[0; 4]; len / 4];
            for four in &mut fours {
                *four = core::array::from_fn(|_| rng.pick(&[-1, 1]));
                four[rng.below(4)] = 0;
            }
            fours.into_flattened()
        }
        _ => rng.trits(len),
    }
}

/// A tensor of the test's own.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Buffer {
    F32(Vec<f32>),
    I16(Vec<i16>),
    I8(Vec<i8>),
}

impl Buffer {
    /// Every bit pattern of the integers is possible.
    pub(crate) fn random(dtype: DType, len: usize, rng: &mut Rng) -> Buffer {
        match dtype {
            DType::F32 => Buffer::F32(rng.f32s(len)),
            DType::I16 => Buffer::I16((0..len).map(|_| rng.next() as i16).collect()),
            DType::I8 => Buffer::I8((0..len).map(|_| rng.next() as i8).collect()),
            _ => unreachable!(),
        }
    }

    /// Clamps integers.
    pub(crate) fn clamp(&mut self, low: i32, high: i32) {
        let clamp = |x: i32| x.clamp(low, high);
        match self {
            Buffer::F32(_) => {}
            Buffer::I16(v) => v.iter_mut().for_each(|x| *x = clamp((*x).into()) as i16),
            Buffer::I8(v) => v.iter_mut().for_each(|x| *x = clamp((*x).into()) as i8),
        }
    }

    pub(crate) fn view(&self) -> View<'_> {
        match self {
            Buffer::F32(v) => View::F32(v),
            Buffer::I16(v) => View::I16(v),
            Buffer::I8(v) => View::I8(v),
        }
    }

    pub(crate) fn view_mut(&mut self) -> ViewMut<'_> {
        match self {
            Buffer::F32(v) => ViewMut::F32(v),
            Buffer::I16(v) => ViewMut::I16(v),
            Buffer::I8(v) => ViewMut::I8(v),
        }
    }

    pub(crate) fn get(&self, i: usize) -> f64 {
        match self {
            Buffer::F32(v) => v[i].into(),
            Buffer::I16(v) => v[i].into(),
            Buffer::I8(v) => v[i].into(),
        }
    }
}

/// Scratch, aligned as [`Ctx`] wants it.
pub(crate) struct Scratch(Vec<Line>, usize);

#[derive(Clone)]
#[repr(align(64))]
struct Line(#[expect(dead_code, reason = "read through a pointer")] [u8; 64]);

impl Scratch {
    /// Filled with a pattern that is no zero in any dtype.
    pub(crate) fn new(len: usize) -> Scratch {
        Scratch(vec![Line([0xa5; 64]); len.div_ceil(64)], len)
    }

    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: a line is 64 bytes.
        unsafe { core::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), self.1) }
    }
}

/// Claims several threads, and runs tasks on the caller's from the last to the first.
pub(crate) struct Reversed(pub(crate) usize);

impl ParallelFor for Reversed {
    fn threads(&self) -> usize {
        self.0
    }

    fn run(&self, tasks: usize, f: &(dyn Fn(usize) + Sync)) {
        assert!((1..=self.0).contains(&tasks));
        // Neither of these is a task that there is.
        f(tasks);
        f(usize::MAX);
        (0..tasks).rev().for_each(f);
        (0..tasks).rev().for_each(f);
    }
}

/// A thread for every task.
pub(crate) struct Threads(pub(crate) usize);

impl ParallelFor for Threads {
    fn threads(&self) -> usize {
        self.0
    }

    fn run(&self, tasks: usize, f: &(dyn Fn(usize) + Sync)) {
        assert!((1..=self.0).contains(&tasks));
        if cfg!(target_family = "wasm") {
            // There are no threads.
            return (0..tasks).for_each(f);
        }
        std::thread::scope(|scope| {
            (0..tasks).for_each(|i| {
                scope.spawn(move || f(i));
            })
        });
    }
}

/// The capabilities that choose each variant which this CPU can run; prints
/// those, and those that it cannot.
pub(crate) fn runnable<F>(family: &str, variants: &'static [Variant<F>]) -> Vec<Caps> {
    let here = |v: &&Variant<F>| {
        let runs = Caps::detect().has(v.needs);
        if runs {
            println!("runs: {family} {}", v.name);
        } else {
            println!("skipped: {family} {} needs {}", v.name, v.needs);
        }
        runs
    };
    variants.iter().filter(here).map(|v| v.needs).collect()
}

/// The families that are convolutions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Family {
    Gemm,
    Conv2d,
    Depthwise,
}

impl Family {
    pub(crate) fn matrix(self, shape: &Conv2dShape) -> Matrix {
        match self {
            Family::Depthwise => depthwise::matrix(shape),
            _ => shape.matrix(),
        }
    }

    pub(crate) fn caps(self) -> Vec<Caps> {
        match self {
            Family::Gemm => runnable("gemm", gemm::VARIANTS),
            Family::Conv2d => runnable("conv2d", conv2d::VARIANTS),
            Family::Depthwise => runnable("depthwise", depthwise::VARIANTS),
        }
    }

    pub(crate) fn scratch(
        self,
        caps: Caps,
        threads: usize,
        shape: &Conv2dShape,
        x: DType,
        codec: Codec,
    ) -> usize {
        match self {
            Family::Gemm => gemm::scratch(caps, threads, &as_gemm(shape), x, codec),
            Family::Conv2d => conv2d::scratch(caps, threads, shape, x, codec),
            Family::Depthwise => depthwise::scratch(caps, threads, shape, x, codec),
        }
    }

    pub(crate) fn run(
        self,
        ctx: &mut Ctx<'_>,
        shape: &Conv2dShape,
        x: View<'_>,
        w: &Weights<'_>,
        epilogue: &Epilogue<'_>,
        y: ViewMut<'_>,
    ) -> Result<(), Invalid> {
        match self {
            Family::Gemm => gemm::run(ctx, &as_gemm(shape), x, w, epilogue, y),
            Family::Conv2d => conv2d::run(ctx, shape, x, w, epilogue, y),
            Family::Depthwise => depthwise::run(ctx, shape, x, w, epilogue, y),
        }
    }
}

/// A product as the convolution that it is.
pub(crate) fn product_shape(m: usize, n: usize, k: usize) -> Conv2dShape {
    Conv2dShape {
        batch: 1,
        input: [1, m],
        in_channels: k,
        output: [1, m],
        out_channels: n,
        kernel: [1, 1],
        stride: [1, 1],
        dilation: [1, 1],
        pad: [0, 0],
        groups: 1,
        transposed: false,
    }
}

fn as_gemm(shape: &Conv2dShape) -> GemmShape {
    GemmShape {
        m: shape.input[1],
        n: shape.out_channels,
        k: shape.in_channels,
    }
}

/// Every pair of activation dtype and codec that products take.
pub(crate) fn inputs() -> Vec<(DType, Codec)> {
    let mut all = Vec::new();
    for codec in Codec::ALL.into_iter().filter(|c| *c != Codec::Plain) {
        all.push((DType::F32, codec));
        if codec.largest().is_some() {
            all.extend([(DType::I16, codec), (DType::I8, codec)]);
        }
    }
    all
}

/// A random case of which the activations happen to be i7.
pub(crate) fn i7(mut random: impl FnMut() -> Case) -> Case {
    loop {
        let case = random();
        if case.x_qmax == 63 {
            return case;
        }
    }
}

/// The dtypes of outputs.
pub(crate) const OUTPUTS: [DType; 3] = [DType::F32, DType::I16, DType::I8];

/// Compares quads, four consecutive k of 16 outputs as trits plus one, with the layouts.
/// `quads(codec, bytes, count)` decodes the first `count` of panels, whose bytes have
/// every value.
pub(crate) fn quads_are_as_the_layouts_say(
    quads: impl Fn(Codec, &[u8], usize) -> Vec<[[u8; 4]; BLOCK]>,
) {
    for codec in [Codec::T2, Codec::T5, Codec::N12, Codec::N34] {
        let (k, len) = codec.panel();
        // 16 panels: those of n34 have every nibble with both third signs.
        let bytes: Vec<u8> = (0..=255).cycle().take(16 * len).collect();
        let matrix = Matrix {
            groups: 1,
            outputs: BLOCK,
            taps: 1,
            channels: 16 * k,
        };
        let block = Block::new(codec, &matrix, &bytes);
        let quads = quads(codec, &bytes, 4 * k);
        for k in 0..16 * k {
            let found = quads[k / 4].map(|codes| i16::from(codes[k % 4]) - 1);
            assert_eq!(found, block.integers(0, k), "{codec:?} at {k}");
        }
    }
}
