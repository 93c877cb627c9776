//! Decoded panels, 64 weights at a time.
//!
//! A *quad* is 16 outputs x four consecutive k as signed bytes: byte `4 * o + j`
//! is the weight of output `o` at the quad's k number `j`. Every integer codec is
//! unpacked to quads, which a [`Form`] stores; `k` that do not fill one wait for
//! the next. Weights that fill up the last group of a part are 0.

use crate::layout::{BLOCK, n34, t2};
use crate::product::tiled::Part;
use crate::{Codec, Matrix};
use core::arch::x86_64::*;
use core::marker::PhantomData;

/// f32 weights, `[k][16 outputs]`.
pub(super) enum Floats {}
/// i16 weights, `[k / 2][16 outputs][2]`.
pub(super) enum Words {}
/// i8 weights, `[k / 4][16 outputs][4]`: quads. Sums start with -128 times those of
/// the weights.
pub(super) enum Bytes {}
/// The same for activations without a sign: sums start with 0.
pub(super) enum BytesAlone {}

/// How a panel stores quads.
pub(super) trait Form {
    /// Bytes of a quad.
    const QUAD: usize;
    /// Whether the sum of each output's weights is needed.
    const SUMS: bool = false;

    /// Stores the first `count` k of a quad, the other ones of which are 0.
    ///
    /// # Safety
    ///
    /// The CPU has AVX-512 F and BW; `to` has room for `count` k, rounded up to
    /// whole registers.
    unsafe fn store(to: *mut u8, quad: __m512i, count: usize);

    /// Register `i` of those that a t2 panel's weights are in this form.
    ///
    /// # Safety
    ///
    /// The CPU has AVX-512 F and BW.
    unsafe fn of_t2(panel: __m512i, i: usize) -> __m512i;
}

/// The most quads that a packed panel has.
const MOST: usize = 8;
/// Bytes of a register.
const BYTES: usize = 64;
/// Blocks from one that is decoded to one that is fetched: those of a tile.
const AHEAD: usize = 4;

/// Decodes some of a block's weights, of an integer codec or f16, into `panel`;
/// f16 for [`Floats`] alone. Adds to `starts` what sums of the form start with.
///
/// # Safety
///
/// The CPU has AVX-512 F, BW and VNNI; `block` is a block of the array, `part` lies in
/// it, its channels begin at a multiple of 16, and `panel` has room for the
/// part's taps and channels, rounded up to whole registers.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) unsafe fn decode<F: Form>(
    codec: Codec,
    matrix: &Matrix,
    block: &[u8],
    part: &Part,
    panel: *mut u8,
    starts: &mut [i32; BLOCK],
) {
    let mut stream = Stream::<F>::new(panel);
    // SAFETY: the caller's promises, for each of the taps.
    unsafe {
        match codec {
            Codec::T2 | Codec::T5 | Codec::N12 | Codec::N34 => {
                ternary(&mut stream, codec, matrix, block, part);
            }
            Codec::I8 => {
                for rows in dense_rows(matrix, block, part, BLOCK) {
                    for rows in rows.chunks(4 * BLOCK) {
                        stream.push(dense_quad(rows), rows.len() / BLOCK);
                    }
                }
            }
            Codec::F16 => {
                let mut to = panel;
                for rows in dense_rows(matrix, block, part, 2 * BLOCK) {
                    for row in rows.as_chunks::<{ 2 * BLOCK }>().0 {
                        let row = _mm512_cvtph_ps(_mm256_loadu_si256(row.as_ptr().cast()));
                        _mm512_storeu_ps(to.cast(), row);
                        to = to.add(BYTES);
                    }
                }
            }
            Codec::Plain | Codec::F32 => {}
        }
        stream.flush();
    }
    if F::SUMS {
        // SAFETY: 16 sums.
        unsafe {
            let started = _mm512_loadu_si512(starts.as_ptr().cast());
            let started = _mm512_add_epi32(started, start(stream.sums));
            _mm512_storeu_si512(starts.as_mut_ptr().cast(), started);
        }
    }
}

/// What sums start with on account of weights with these sums.
#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn start(sums: __m512i) -> __m512i {
    _mm512_sub_epi32(_mm512_setzero_si512(), _mm512_slli_epi32::<7>(sums))
}

/// The packed rows of each of a part's taps, for a dense codec with rows of
/// `len` bytes.
fn dense_rows<'a>(
    matrix: &Matrix,
    block: &'a [u8],
    part: &Part,
    len: usize,
) -> impl Iterator<Item = &'a [u8]> {
    let (stride, channels) = (matrix.channels, part.channels.clone());
    part.taps.clone().map(move |tap| {
        let first = tap * stride + channels.start;
        &block[first * len..][..channels.len() * len]
    })
}

/// Streams a part of a block of a ternary codec.
///
/// # Safety
///
/// As for [`decode`].
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn ternary<F: Form>(
    stream: &mut Stream<F>,
    codec: Codec,
    matrix: &Matrix,
    block: &[u8],
    part: &Part,
) {
    let (k, len) = codec.panel();
    let count = k / 4;
    for tap in part.taps.clone() {
        let mut left = part.channels.len();
        let first = (tap * matrix.tap_stride() + part.channels.start) / 4;
        let (mut at, mut skipped) = (first / count, first % count);
        if codec == Codec::T2 && stream.count == 0 {
            // Channels begin at a multiple of a t2 panel's k.
            let whole = left / t2::PANEL_K;
            for from in block[at * len..][..whole * len].chunks_exact(len) {
                // What the next tile decodes comes from afar while this one multiplies.
                let next = from.as_ptr().wrapping_add(AHEAD * block.len());
                // SAFETY: 64 bytes, and the caller promises room for the part;
                // fetching reads nothing.
                unsafe {
                    _mm_prefetch::<_MM_HINT_T1>(next.cast());
                    stream.push_t2(_mm512_loadu_si512(from.as_ptr().cast()));
                }
            }
            (at, left) = (at + whole, left % t2::PANEL_K);
        }
        while left > 0 {
            let from = &block[at * len..][..len];
            // SAFETY: 64 bytes or more, and the caller promises room for the part.
            unsafe {
                let panel = _mm512_loadu_si512(from.as_ptr().cast());
                let quads = match codec {
                    Codec::T5 => digits(panel),
                    Codec::N12 => pairs(panel),
                    Codec::N34 => {
                        let signs = from[n34::SIGNS..].first_chunk();
                        fours(panel, signs.unwrap_or(&[0; BLOCK]))
                    }
                    _ => fields(panel),
                };
                for quad in &quads[skipped..count] {
                    let taken = left.min(4);
                    stream.push(*quad, taken);
                    left -= taken;
                }
            }
            (at, skipped) = (at + 1, 0);
        }
    }
}

/// Quads on their way into a panel.
struct Stream<F> {
    to: *mut u8,
    /// The k that do not fill a quad yet; the others are 0.
    waiting: __m512i,
    /// How many these are.
    count: usize,
    /// Of each output's weights, if the form needs them.
    sums: __m512i,
    form: PhantomData<F>,
}

impl<F: Form> Stream<F> {
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn new(to: *mut u8) -> Self {
        Stream {
            to,
            waiting: _mm512_setzero_si512(),
            count: 0,
            sums: _mm512_setzero_si512(),
            form: PhantomData,
        }
    }

    /// Appends the first `count` k of a quad, at most 4.
    ///
    /// # Safety
    ///
    /// The CPU has AVX-512 F and BW; there is room.
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    #[inline]
    unsafe fn push(&mut self, quad: __m512i, count: usize) {
        if self.count == 0 && count == 4 {
            // SAFETY: the caller's promise.
            unsafe { self.store(quad, 4) };
            return;
        }
        let bits = |bytes: usize| _mm_cvtsi32_si128(8 * bytes as i32);
        // A shift by 32 leaves nothing.
        let dropped = bits(4 - count);
        let quad = _mm512_srl_epi32(_mm512_sll_epi32(quad, dropped), dropped);
        let placed = _mm512_sll_epi32(quad, bits(self.count));
        self.waiting = _mm512_or_si512(self.waiting, placed);
        let count = self.count + count;
        if count < 4 {
            self.count = count;
            return;
        }
        // SAFETY: as above.
        unsafe { self.store(self.waiting, 4) };
        self.waiting = _mm512_srl_epi32(quad, bits(4 - self.count));
        self.count = count - 4;
    }

    /// Appends a t2 panel; no k wait.
    ///
    /// # Safety
    ///
    /// As for [`push`](Self::push).
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    #[inline]
    unsafe fn push_t2(&mut self, panel: __m512i) {
        for i in 0..4 * F::QUAD / BYTES {
            // SAFETY: the caller's promise.
            unsafe { _mm512_storeu_si512(self.to.cast(), F::of_t2(panel, i)) };
            self.to = self.to.wrapping_add(BYTES);
        }
        if F::SUMS {
            self.sums = tally_t2(self.sums, panel);
        }
    }

    /// Stores the first `count` k of a quad, the other ones of which are 0.
    ///
    /// # Safety
    ///
    /// As for [`push`](Self::push).
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    #[inline]
    unsafe fn store(&mut self, quad: __m512i, count: usize) {
        // SAFETY: the caller's promise.
        unsafe { F::store(self.to, quad, count) };
        self.to = self.to.wrapping_add(F::QUAD);
        if F::SUMS {
            self.sums = tally(self.sums, quad);
        }
    }

    /// Stores the k that still wait.
    ///
    /// # Safety
    ///
    /// As for [`push`](Self::push).
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    #[inline]
    unsafe fn flush(&mut self) {
        if self.count > 0 {
            // SAFETY: the caller's promise.
            unsafe { self.store(self.waiting, self.count) };
        }
    }
}

/// Adds bytes to the sums of their outputs.
#[target_feature(enable = "avx512f,avx512vnni")]
#[inline]
pub(super) fn tally(sums: __m512i, quad: __m512i) -> __m512i {
    _mm512_dpbusd_epi32(sums, _mm512_set1_epi8(1), quad)
}

/// Adds the weights of a t2 panel to the sums of their outputs.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
#[inline]
pub(super) fn tally_t2(sums: __m512i, panel: __m512i) -> __m512i {
    // Of the two fields of a nibble.
    let both = _mm512_set4_epi32(0x0403_0201, 0x0302_0100, 0x0201_00ff, 0x0100_fffe);
    let [first, second] = nibbles(panel).map(|nibble| _mm512_shuffle_epi8(both, nibble));
    tally(sums, _mm512_add_epi8(first, second))
}

/// The lower and the upper nibble of every byte.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn nibbles(panel: __m512i) -> [__m512i; 2] {
    let nibble = _mm512_set1_epi8(15);
    [
        _mm512_and_si512(panel, nibble),
        _mm512_and_si512(_mm512_srli_epi16::<4>(panel), nibble),
    ]
}

/// Quad `i` of a t2 panel. A nibble holds two fields; each of them has a table.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn field(panel: __m512i, i: usize) -> __m512i {
    let table = if i.is_multiple_of(2) {
        _mm512_set1_epi32(i32::from_le_bytes([-1i8 as u8, 0, 1, 2]))
    } else {
        _mm512_set4_epi32(0x0202_0202, 0x0101_0101, 0, -1)
    };
    _mm512_shuffle_epi8(table, nibbles(panel)[i / 2])
}

/// The weights of a t2 panel.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn fields(panel: __m512i) -> [__m512i; MOST] {
    let mut quads = [_mm512_setzero_si512(); MOST];
    for (i, quad) in quads[..4].iter_mut().enumerate() {
        *quad = field(panel, i);
    }
    quads
}

/// The weights of a t5 panel: `byte / 3^i`, modulo 3 except for the last, less one.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn digits(panel: __m512i) -> [__m512i; MOST] {
    // x / 3 = x * 21846 >> 16 for every byte, as in AVX2's.
    let third = _mm512_set1_epi16(21846);
    let one = _mm512_set1_epi8(1);
    let mut low = _mm512_and_si512(panel, _mm512_set1_epi16(0xff));
    let mut high = _mm512_srli_epi16::<8>(panel);
    let mut quotient = panel;
    let mut quads = [_mm512_setzero_si512(); MOST];
    for quad in &mut quads[..4] {
        low = _mm512_mulhi_epu16(low, third);
        high = _mm512_mulhi_epu16(high, third);
        let next = _mm512_or_si512(low, _mm512_slli_epi16::<8>(high));
        let three_times = _mm512_add_epi8(next, _mm512_add_epi8(next, next));
        *quad = _mm512_sub_epi8(_mm512_sub_epi8(quotient, three_times), one);
        quotient = next;
    }
    quads[4] = _mm512_sub_epi8(quotient, one);
    quads
}

/// The weights of an n12 panel: every nibble is two pairs of an output.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn pairs(panel: __m512i) -> [__m512i; MOST] {
    // Byte 0 of every output, four times.
    let first = _mm512_set4_epi32(0x0c0c_0c0c, 0x0808_0808, 0x0404_0404, 0);
    // Of the four, the first two show the lower pair and the last two the upper
    // one; of each two, the first is the even k.
    let lower = _mm512_set1_epi32(0x0000_0303);
    let upper = _mm512_set1_epi32(0x0303_0000);
    let odd = _mm512_set1_epi32(0x0400_0400);
    // By the pair's bits, for the even k and for the odd one.
    let weights = _mm512_set4_epi32(
        0,
        0,
        i32::from_le_bytes([0, 1, 0, -1i8 as u8]),
        i32::from_le_bytes([1, 0, -1i8 as u8, 0]),
    );
    let mut quads = [_mm512_setzero_si512(); MOST];
    for (i, quad) in quads.iter_mut().enumerate() {
        let byte = _mm512_add_epi8(first, _mm512_set1_epi8((i / 2) as i8));
        let mut four = _mm512_shuffle_epi8(panel, byte);
        if i % 2 == 1 {
            four = _mm512_srli_epi16::<4>(four);
        }
        let low = _mm512_and_si512(four, lower);
        let high = _mm512_and_si512(_mm512_srli_epi16::<2>(four), upper);
        let index = _mm512_or_si512(_mm512_or_si512(low, high), odd);
        *quad = _mm512_shuffle_epi8(weights, index);
    }
    quads
}

/// The weights of an n34 panel: every nibble is four of an output, with its third sign.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn fours(panel: __m512i, signs: &[u8; BLOCK]) -> [__m512i; MOST] {
    // Byte 0 of every output, four times.
    let first = _mm512_set4_epi32(0x0c0c_0c0c, 0x0808_0808, 0x0404_0404, 0);
    let nibble = _mm512_set1_epi8(15);
    let upper = _mm512_set1_epi8(-128);
    let turns = _mm512_set1_epi32(i32::from_le_bytes(n34::TURNS.map(|turn| 4 * turn)));
    // SAFETY: 16 bytes each.
    let [codes, third, signs] = unsafe {
        [&n34::CODES, &n34::THIRD, signs].map(|bytes| _mm_loadu_si128(bytes.as_ptr().cast()))
    };
    // Weights are codes less one.
    let weights = _mm512_sub_epi8(_mm512_broadcast_i32x4(codes), _mm512_set1_epi8(1));
    let third = _mm512_broadcast_i32x4(third);
    // The uppermost bit of each byte is the sign of the nibble in turn, from the last
    // on; a look-up gives 0 where it is set.
    let mut signs = _mm512_shuffle_epi8(_mm512_cvtepu8_epi32(signs), first);
    let mut quads = [_mm512_setzero_si512(); MOST];
    for (i, quad) in quads.iter_mut().enumerate().rev() {
        let byte = _mm512_add_epi8(first, _mm512_set1_epi8((i / 2) as i8));
        let mut index = _mm512_shuffle_epi8(panel, byte);
        if i % 2 == 1 {
            index = _mm512_srli_epi16::<4>(index);
        }
        let index = _mm512_and_si512(_mm512_add_epi8(index, turns), nibble);
        let signed = _mm512_or_si512(index, _mm512_and_si512(signs, upper));
        let plus = _mm512_shuffle_epi8(third, signed);
        *quad = _mm512_add_epi8(_mm512_shuffle_epi8(weights, index), plus);
        signs = _mm512_add_epi8(signs, signs);
    }
    quads
}

/// At most four rows of an i8 block; k that are not there are 0.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn dense_quad(rows: &[u8]) -> __m512i {
    let mut k = [_mm_setzero_si128(); 4];
    for (k, row) in k.iter_mut().zip(rows.as_chunks::<BLOCK>().0) {
        // SAFETY: 16 bytes.
        *k = unsafe { _mm_loadu_si128(row.as_ptr().cast()) };
    }
    let low = [_mm_unpacklo_epi8(k[0], k[1]), _mm_unpacklo_epi8(k[2], k[3])];
    let high = [_mm_unpackhi_epi8(k[0], k[1]), _mm_unpackhi_epi8(k[2], k[3])];
    let mut quad = _mm512_castsi128_si512(_mm_unpacklo_epi16(low[0], low[1]));
    quad = _mm512_inserti32x4::<1>(quad, _mm_unpackhi_epi16(low[0], low[1]));
    quad = _mm512_inserti32x4::<2>(quad, _mm_unpacklo_epi16(high[0], high[1]));
    _mm512_inserti32x4::<3>(quad, _mm_unpackhi_epi16(high[0], high[1]))
}

impl Form for Floats {
    const QUAD: usize = 4 * BYTES;

    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    unsafe fn store(to: *mut u8, quad: __m512i, count: usize) {
        let left = [24, 16, 8, 0].map(|bits| _mm_cvtsi32_si128(bits));
        for (j, left) in left.into_iter().enumerate().take(count) {
            let weights = _mm512_srai_epi32::<24>(_mm512_sll_epi32(quad, left));
            // SAFETY: the caller promises room for `count` rows.
            unsafe { _mm512_storeu_ps(to.add(j * BYTES).cast(), _mm512_cvtepi32_ps(weights)) };
        }
    }

    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    unsafe fn of_t2(panel: __m512i, k: usize) -> __m512i {
        // The lowest four bits of a lane are an index: two fields, each of which
        // has a table. Nibble 2j has the fields k = j and 4 + j, the next one 8 + j
        // and 12 + j.
        let nibble = 2 * (k % 4) + k / 8;
        let table = if (k / 4).is_multiple_of(2) {
            _mm512_set4_ps(2.0, 1.0, 0.0, -1.0)
        } else {
            _mm512_setr_ps(
                -1.0, -1.0, -1.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0,
            )
        };
        let index = _mm512_srl_epi32(panel, _mm_cvtsi32_si128(4 * nibble as i32));
        _mm512_castps_si512(_mm512_permutexvar_ps(index, table))
    }
}

/// Bytes 2 * `pair` and 2 * `pair` + 1 of every output, as the upper halves of words.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn spread(quad: __m512i, pair: i32) -> __m512i {
    let first = _mm512_set1_epi32(0x01_80_00_80 + 0x02_00_02_00 * pair);
    let outputs = _mm512_set4_epi32(0x0c00_0c00, 0x0800_0800, 0x0400_0400, 0);
    _mm512_shuffle_epi8(quad, _mm512_add_epi32(first, outputs))
}

impl Form for Words {
    const QUAD: usize = 2 * BYTES;

    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    unsafe fn store(to: *mut u8, quad: __m512i, count: usize) {
        for pair in 0..count.div_ceil(2) {
            let weights = _mm512_srai_epi16::<8>(spread(quad, pair as i32));
            // SAFETY: the caller promises room for `count` k, rounded up to two.
            unsafe { _mm512_storeu_si512(to.add(pair * BYTES).cast(), weights) };
        }
    }

    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    unsafe fn of_t2(panel: __m512i, i: usize) -> __m512i {
        // The lowest five bits of a lane are an index, of which a field is two.
        let table = _mm512_set1_epi64(0x0002_0001_0000_ffff);
        let shift = _mm_cvtsi32_si128(8 + 2 * (i / 2) as i32);
        let index = _mm512_srl_epi16(spread(panel, (i % 2) as i32), shift);
        _mm512_permutexvar_epi16(index, table)
    }
}

impl Form for Bytes {
    const QUAD: usize = BYTES;
    const SUMS: bool = true;

    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    unsafe fn store(to: *mut u8, quad: __m512i, _: usize) {
        // SAFETY: the caller promises room.
        unsafe { _mm512_storeu_si512(to.cast(), quad) };
    }

    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    unsafe fn of_t2(panel: __m512i, i: usize) -> __m512i {
        field(panel, i)
    }
}

impl Form for BytesAlone {
    const QUAD: usize = BYTES;

    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    unsafe fn store(to: *mut u8, quad: __m512i, count: usize) {
        // SAFETY: the caller's promises are the same.
        unsafe { Bytes::store(to, quad, count) };
    }

    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    unsafe fn of_t2(panel: __m512i, i: usize) -> __m512i {
        field(panel, i)
    }
}
