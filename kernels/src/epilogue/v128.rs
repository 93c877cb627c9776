//! The epilogue 16 outputs at a time, in registers of 128 bits. The same
//! operations in the same order as [`Finish::scalar`], none of them fused, so the
//! results are the same bits.

use super::{Finish, Out, Residual};
use crate::View;
use crate::eltwise::{Unary, UnaryKind, scalar::apply};
use crate::isa::v128::{QUARTERS, Registers};
use core::ops::Range;

/// Outputs of a step.
const LANES: usize = 4 * QUARTERS;

/// 16 floats.
type Sixteen<V> = [<V as Registers>::F; QUARTERS];

impl Finish<'_> {
    /// [`scalar`](Self::scalar) for several rows, the sums of which begin
    /// `stride` floats after each other.
    ///
    /// # Safety
    ///
    /// The CPU has the instruction set, `sums` has every row's outputs, and no
    /// other task has these elements of `y`.
    #[inline(always)]
    pub(crate) unsafe fn v128<V: Registers>(
        &self,
        rows: Range<usize>,
        outputs: Range<usize>,
        sums: *mut f32,
        stride: usize,
    ) {
        let whole = outputs.len() / LANES * LANES;
        for done in (0..whole).step_by(LANES) {
            let first = outputs.start + done;
            // SAFETY: the caller's promises.
            unsafe { self.columns::<V>(rows.clone(), first, sums.add(done), stride) };
        }
        if whole < outputs.len() {
            for (r, row) in rows.enumerate() {
                // SAFETY: the caller's promises.
                unsafe {
                    let rest = sums.add(r * stride + whole);
                    let rest = core::slice::from_raw_parts_mut(rest, outputs.len() - whole);
                    self.scalar(row, outputs.start + whole, rest);
                }
            }
        }
    }

    /// # Safety
    ///
    /// As for [`v128`](Self::v128), with 16 outputs.
    #[inline(always)]
    unsafe fn columns<V: Registers>(
        &self,
        rows: Range<usize>,
        first: usize,
        sums: *const f32,
        stride: usize,
    ) {
        // SAFETY: the caller's promises, and what `sixteen` finds is long enough,
        // to the end of the function.
        unsafe {
            let mut scale = [V::splat_f32(self.x_scale); QUARTERS];
            if let Some(w_scale) = self.w_scale.and_then(|s| sixteen(s, first)) {
                each::<V>(&mut scale, load::<V>(w_scale), V::mul_f32);
            }
            let bias = self.bias.and_then(|bias| sixteen(bias, first));
            let bias = bias.map(|bias| {
                let mut bias = load::<V>(bias);
                each::<V>(&mut bias, [V::splat_f32(self.unit); QUARTERS], V::mul_f32);
                bias
            });
            for (r, row) in rows.enumerate() {
                let at = row * self.outputs + first;
                let mut t = load::<V>(sums.add(r * stride));
                each::<V>(&mut t, scale, V::mul_f32);
                if let Some(bias) = bias {
                    each::<V>(&mut t, bias, V::add_f32);
                }
                if let Some(residual) = self.residual.as_ref() {
                    add::<V>(&mut t, residual, at);
                }
                activate::<V>(&self.activation, &mut t);
                self.write::<V>(at, t);
            }
        }
    }

    /// # Safety
    ///
    /// The CPU has the instruction set, and no other task has these elements.
    #[inline(always)]
    unsafe fn write<V: Registers>(&self, at: usize, t: Sixteen<V>) {
        let all = at..at + LANES;
        // SAFETY: the caller's promises; what `first_chunk_mut` gives is long enough.
        unsafe {
            match &self.y {
                Out::F32(y) => {
                    if let Some(y) = y.part(all).first_chunk_mut::<LANES>() {
                        for (t, y) in t.into_iter().zip(y.as_chunks_mut::<4>().0) {
                            V::store_f32(y.as_mut_ptr(), t);
                        }
                    }
                }
                Out::I16(y) => {
                    if let Some(y) = y.part(all).first_chunk_mut::<LANES>() {
                        let [low, high] = self.words::<V>(t);
                        V::store(y.as_mut_ptr().cast(), low);
                        V::store(y[LANES / 2..].as_mut_ptr().cast(), high);
                    }
                }
                Out::I8(y) => {
                    if let Some(y) = y.part(all).first_chunk_mut::<LANES>() {
                        let [low, high] = self.words::<V>(t);
                        V::store(y.as_mut_ptr().cast(), V::narrow_16(low, high));
                    }
                }
            }
        }
    }

    /// [`quantize_one`](crate::quantize::quantize_one) of each lane.
    ///
    /// # Safety
    ///
    /// The CPU has the instruction set.
    #[inline(always)]
    unsafe fn words<V: Registers>(&self, mut t: Sixteen<V>) -> [V::I; 2] {
        let limit = self.qmax as f32;
        // SAFETY: the caller's promise; 16-bit outputs have no larger `qmax`.
        unsafe {
            if self.inverse_scale != 1.0 {
                let inverse = [V::splat_f32(self.inverse_scale); QUARTERS];
                each::<V>(&mut t, inverse, V::mul_f32);
            }
            each::<V>(&mut t, [V::splat_f32(-limit); QUARTERS], V::max_f32);
            each::<V>(&mut t, [V::splat_f32(limit); QUARTERS], V::min_f32);
            [
                V::narrow_32(V::round(t[0]), V::round(t[1])),
                V::narrow_32(V::round(t[2]), V::round(t[3])),
            ]
        }
    }
}

/// Elements `at..at + 16`, if there are as many.
#[inline(always)]
fn sixteen<T>(values: &[T], at: usize) -> Option<*const T> {
    let values = values.get(at..)?;
    (values.len() >= LANES).then_some(values.as_ptr())
}

/// # Safety
///
/// The CPU has the instruction set; 16 floats.
#[inline(always)]
unsafe fn load<V: Registers>(from: *const f32) -> Sixteen<V> {
    // SAFETY: the caller's promises.
    unsafe {
        [
            V::load_f32(from),
            V::load_f32(from.add(4)),
            V::load_f32(from.add(8)),
            V::load_f32(from.add(12)),
        ]
    }
}

/// `a = f(a, b)` in every register.
///
/// # Safety
///
/// The CPU has the instruction set.
#[inline(always)]
unsafe fn each<V: Registers>(a: &mut Sixteen<V>, b: Sixteen<V>, f: unsafe fn(V::F, V::F) -> V::F) {
    for (a, b) in a.iter_mut().zip(b) {
        // SAFETY: the caller's promise.
        *a = unsafe { f(*a, b) };
    }
}

/// Adds a residual.
///
/// # Safety
///
/// The CPU has the instruction set.
#[inline(always)]
unsafe fn add<V: Registers>(t: &mut Sixteen<V>, residual: &Residual<'_>, at: usize) {
    // SAFETY: what `sixteen` finds is long enough.
    unsafe {
        let scaled = residual.scale != 1.0;
        let scale = V::splat_f32(residual.scale);
        for (i, t) in t.iter_mut().enumerate() {
            let r = match residual.values {
                View::F32(r) => sixteen(r, at).map(|r| V::load_f32(r.add(4 * i))),
                View::I16(r) => sixteen(r, at).map(|r| V::from_i16(r.add(4 * i))),
                View::I8(r) => sixteen(r, at).map(|r| V::from_i8(r.add(4 * i))),
                _ => None,
            };
            if let Some(r) = r {
                let r = if scaled { V::mul_f32(r, scale) } else { r };
                *t = V::add_f32(*t, r);
            }
        }
    }
}

/// # Safety
///
/// The CPU has the instruction set.
#[inline(always)]
unsafe fn activate<V: Registers>(activation: &Unary, t: &mut Sixteen<V>) {
    let Unary { kind, alpha, beta } = *activation;
    // SAFETY: the caller's promise; 16 floats.
    unsafe {
        match kind {
            UnaryKind::Identity => {}
            UnaryKind::Relu => each::<V>(t, [V::splat_f32(0.0); QUARTERS], V::max_f32),
            UnaryKind::Clip => {
                each::<V>(t, [V::splat_f32(alpha); QUARTERS], V::max_f32);
                each::<V>(t, [V::splat_f32(beta); QUARTERS], V::min_f32);
            }
            _ => {
                let mut values = [0.0; LANES];
                for (t, to) in t.iter().zip(values.as_chunks_mut::<4>().0) {
                    V::store_f32(to.as_mut_ptr(), *t);
                }
                rare(activation, &mut values);
                *t = load::<V>(values.as_ptr());
            }
        }
    }
}

/// Any activation. Not inlined, so that what layers often have stays small.
#[inline(never)]
fn rare(activation: &Unary, values: &mut [f32; LANES]) {
    for value in values {
        *value = apply(activation, *value);
    }
}
