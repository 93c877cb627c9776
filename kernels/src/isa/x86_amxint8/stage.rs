//! The input in the form in which tiles read it: output rows that follow each
//! other read pieces of memory that have one distance.
//!
//! - [`Form::Direct`]: the input itself, where it has no taps and pixels are
//!   whole chunks or part of one; the last rows are copied, so that tiles end
//!   with them.
//! - [`Form::Rows`]: every output row's k values, one after another, in whole
//!   chunks. For few channels, and without taps.
//! - [`Form::Windows`]: every input line as the windows of a line of the kernel,
//!   one for each column of the output, two lines in a chunk. For few channels and
//!   a vertical stride of 2, where both lines are read by every second line of the
//!   kernel.
//! - [`Form::Lines`]: the image with its padding. A line of output has as many
//!   rows as steps fit in a padded line; those beyond the output's width are
//!   computed and not used, so that the distance is the same across lines. With
//!   a vertical stride, input lines that a tap reads one after another lie
//!   together: line `l` is in plane `l % stride`.

use super::panel::{Runs, STEP};
use super::plan::{CHUNK, ROWS};
use crate::Matrix;
use crate::conv2d::Conv2dShape;
use core::arch::x86_64::*;
use core::ops::Range;

/// Bytes of a window's line, and lines of a chunk.
const WINDOW: usize = CHUNK / WINDOW_LINES;
const WINDOW_LINES: usize = 2;
/// Fewer channels than this are staged as rows where there are taps.
const MIN_CHANNELS: usize = 16;

/// See the [module](self).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Direct,
    Rows,
    Windows,
    Lines,
}

/// Sizes of [`Form::Lines`], in pixels where not said otherwise.
struct Padded {
    /// Of a line, a multiple of the horizontal stride.
    width: usize,
    /// Lines of a plane.
    lines: usize,
    /// Bytes of a pixel.
    pixel: usize,
}

impl Padded {
    /// For a strip of so many lines of output.
    fn new(shape: &Conv2dShape, lines: usize) -> Option<Padded> {
        let reach = |axis: usize, outputs: usize| {
            let last = outputs.checked_sub(1)?.checked_mul(shape.stride[axis])?;
            let window = (shape.kernel[axis] - 1).checked_mul(shape.dilation[axis])?;
            last.checked_add(window)?.checked_add(1)
        };
        Some(Padded {
            width: reach(1, shape.output[1])?.checked_next_multiple_of(shape.stride[1])?,
            lines: reach(0, lines)?.div_ceil(shape.stride[0]),
            pixel: shape.in_channels / shape.groups,
        })
    }

    /// Where line `line` of the padded strip begins, in pixels.
    fn line(&self, shape: &Conv2dShape, line: usize) -> usize {
        let stride = shape.stride[0];
        (line % stride * self.lines + line / stride) * self.width
    }
}

impl Form {
    /// That of a convolution.
    pub(super) fn of(shape: &Conv2dShape, matrix: &Matrix) -> Form {
        let product = shape.stride == [1, 1]
            && shape.pad == [0, 0]
            && shape.input == shape.output
            && shape.groups == 1;
        let channels = matrix.channels;
        let whole =
            channels.is_multiple_of(CHUNK) || channels < CHUNK && channels.is_multiple_of(STEP);
        let windows = shape.stride[0] == WINDOW_LINES
            && shape.dilation == [1, 1]
            && shape.groups == 1
            && shape.kernel[1].saturating_mul(channels) <= WINDOW;
        match matrix.taps {
            1 if product && whole => Form::Direct,
            1 => Form::Rows,
            _ if windows => Form::Windows,
            _ if matrix.channels < MIN_CHANNELS => Form::Rows,
            _ => Form::Lines,
        }
    }

    /// How the k axis is cut: what lies together in staged memory is a run.
    pub(super) fn runs(self, shape: &Conv2dShape, matrix: &Matrix) -> Runs {
        let channels = matrix.channels;
        if self == Form::Windows {
            return Runs {
                count: shape.kernel[0].div_ceil(WINDOW_LINES),
                taps: WINDOW_LINES * shape.kernel[1],
                channels,
                line_taps: shape.kernel[1],
                line_len: WINDOW,
            };
        }
        let taps = match self {
            Form::Lines if shape.dilation[1] != 1 => 1,
            Form::Lines => shape.kernel[1],
            _ => matrix.taps,
        };
        Runs {
            count: matrix.taps / taps,
            taps,
            channels,
            line_taps: taps,
            line_len: taps * channels,
        }
    }

    /// Bytes from one output row's values to the next's, where those are rows.
    fn row_len(self, runs: &Runs) -> usize {
        match self {
            Form::Direct => runs.channels,
            _ => runs.chunks() * CHUNK,
        }
    }

    /// Rows that so many lines have, those that are no output's included; `None` where
    /// that overflows.
    pub(super) fn rows(self, shape: &Conv2dShape, lines: usize) -> Option<usize> {
        let width = match self {
            Form::Direct | Form::Rows => 1,
            Form::Windows => shape.output[1],
            Form::Lines => Padded::new(shape, lines)?.width / shape.stride[1],
        };
        lines.checked_mul(width)
    }

    /// Bytes that a strip of so many lines takes; `None` where that overflows.
    pub(super) fn bytes(self, shape: &Conv2dShape, runs: &Runs, lines: usize) -> Option<usize> {
        let row = self.row_len(runs);
        match self {
            // A copy ends up to a chunk further on.
            Form::Direct => row.checked_mul(ROWS)?.checked_add(CHUNK),
            Form::Rows => lines
                .checked_next_multiple_of(ROWS)?
                .checked_mul(row)?
                .checked_add(CHUNK),
            Form::Windows => lines
                .checked_add(runs.count)?
                .checked_mul(shape.output[1])?
                .checked_add(ROWS)?
                .checked_mul(CHUNK),
            Form::Lines => {
                let padded = Padded::new(shape, lines)?;
                let planes = padded.lines.checked_mul(shape.stride[0])?;
                let body = planes
                    .checked_mul(padded.width)?
                    .checked_mul(padded.pixel)?;
                // The last rows of the last tile, whose taps lie beyond.
                let rows = (padded.width / shape.stride[1]).checked_mul(lines)?;
                let step = shape.stride[1].checked_mul(padded.pixel)?;
                let beyond = rows.checked_next_multiple_of(ROWS)?.checked_mul(step)?;
                body.checked_add(beyond)?.checked_add(runs.len_padded()?)
            }
        }
    }

    /// Writes how far each chunk of k lies from where an output row begins, for
    /// strips of at most `lines`.
    pub(super) fn offsets(
        self,
        shape: &Conv2dShape,
        runs: &Runs,
        lines: usize,
        offsets: &mut [usize],
    ) {
        let padded = match self {
            Form::Lines => Padded::new(shape, lines),
            _ => None,
        };
        let [_, width] = shape.kernel;
        for (i, offset) in offsets.iter_mut().take(runs.chunks()).enumerate() {
            let (run, chunk) = (i / runs.run_chunks(), i % runs.run_chunks());
            let start = match &padded {
                Some(padded) => {
                    let tap = run * runs.taps;
                    let line = padded.line(shape, tap / width * shape.dilation[0]);
                    (line + tap % width * shape.dilation[1]) * padded.pixel
                }
                // A run of windows is a line of them; elsewhere is one run.
                None => run * shape.output[1] * CHUNK,
            };
            *offset = start + chunk * CHUNK;
        }
    }
}

/// What is staged.
pub(super) struct Input<'a> {
    pub(super) x: &'a [i8],
    pub(super) shape: &'a Conv2dShape,
    /// First channel of the group, and how many it has.
    pub(super) channel: usize,
    pub(super) channels: usize,
    pub(super) image: usize,
    /// Lines of the image; rows where those are lines.
    pub(super) lines: Range<usize>,
}

/// A staged strip.
pub(super) struct Strip {
    /// What row 0 reads, and the bytes from one row's to the next's.
    start: *const u8,
    pub(super) stride: usize,
    /// Where rows from this one on lie instead, if not in `start`.
    last: (usize, *const u8),
    /// Rows, some of which are no output's.
    pub(super) rows: usize,
    /// Rows of a line, and how many of them are outputs'.
    pub(super) width: usize,
    pub(super) real: usize,
    /// The output row that row 0 is.
    pub(super) first: usize,
}

impl Strip {
    /// What a row reads.
    pub(super) fn row(&self, row: usize) -> *const u8 {
        if row < self.last.0 {
            self.start.wrapping_add(row * self.stride)
        } else {
            self.last.1.wrapping_add((row - self.last.0) * self.stride)
        }
    }
}

/// Stages a strip of at most `lines` lines, for which `staged` has room.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn stage(
    form: Form,
    runs: &Runs,
    input: &Input<'_>,
    lines: usize,
    staged: &mut [u8],
) -> Strip {
    let row_len = form.row_len(runs);
    let start = staged.as_ptr();
    let Range { start: from, end } = input.lines;
    match form {
        Form::Lines => {
            let width = pad_lines(input, lines, staged);
            let [height, real] = input.shape.output;
            Strip {
                start,
                stride: input.shape.stride[1] * input.channels,
                last: (usize::MAX, start),
                rows: (end - from - 1) * width + real,
                width,
                real,
                first: (input.image * height + from) * real,
            }
        }
        Form::Windows => {
            expand_lines(input, runs.count, staged);
            let [height, width] = input.shape.output;
            let rows = input.lines.len() * width;
            Strip {
                start,
                stride: CHUNK,
                last: (usize::MAX, start),
                rows,
                width: rows,
                real: rows,
                first: (input.image * height + from) * width,
            }
        }
        Form::Rows | Form::Direct => {
            let rows = from..end;
            let copied = match form {
                Form::Direct => rows.start + rows.len() / ROWS * ROWS..rows.end,
                _ => rows.clone(),
            };
            copy_rows(input, copied.clone(), row_len, staged);
            let x = input.x.as_ptr().wrapping_add(rows.start * row_len);
            Strip {
                start: x.cast(),
                stride: row_len,
                last: (copied.start - rows.start, start),
                rows: rows.len(),
                width: rows.len(),
                real: rows.len(),
                first: rows.start,
            }
        }
    }
}

/// Copies input lines with their padding; tells how many rows a line has.
fn pad_lines(input: &Input<'_>, lines: usize, staged: &mut [u8]) -> usize {
    let shape = input.shape;
    let Some(padded) = Padded::new(shape, lines) else {
        return 1;
    };
    let (pixel, [height, width]) = (padded.pixel, shape.input);
    let count =
        (input.lines.len() - 1) * shape.stride[0] + (shape.kernel[0] - 1) * shape.dilation[0] + 1;
    let left = shape.pad[1].min(padded.width);
    let copied = width.min(padded.width - left);
    for line in 0..count {
        let to = padded.line(shape, line) * pixel;
        let Some(to) = staged.get_mut(to..to + padded.width * pixel) else {
            continue;
        };
        let from = (input.lines.start * shape.stride[0] + line).checked_sub(shape.pad[0]);
        let Some(y) = from.filter(|y| *y < height) else {
            to.fill(0);
            continue;
        };
        let (before, rest) = to.split_at_mut(left * pixel);
        let (to, after) = rest.split_at_mut(copied * pixel);
        before.fill(0);
        after.fill(0);
        let from = (input.image * height + y) * width * shape.in_channels + input.channel;
        if shape.groups == 1 {
            copy(input.x, from, to);
        } else {
            for (i, to) in to.chunks_exact_mut(pixel).enumerate() {
                copy(input.x, from + i * shape.in_channels, to);
            }
        }
    }
    padded.width / shape.stride[1]
}

/// Copies `x[from..]`; nothing where it is shorter.
#[inline(always)]
fn copy(x: &[i8], from: usize, to: &mut [u8]) {
    if let Some(x) = x.get(from..).and_then(|x| x.get(..to.len())) {
        // SAFETY: both have that length, and an i8's byte is a u8.
        unsafe {
            to.as_mut_ptr()
                .copy_from_nonoverlapping(x.as_ptr().cast(), x.len())
        };
    }
}

/// Output columns or lines whose windows lie inside of the input, along an axis.
fn inside(shape: &Conv2dShape, axis: usize) -> Range<usize> {
    let window = (shape.kernel[axis] - 1) * shape.dilation[axis] + 1;
    let start = shape.pad[axis].div_ceil(shape.stride[axis]);
    let end = (shape.input[axis] + shape.pad[axis] + shape.stride[axis])
        .checked_sub(window)
        .map_or(0, |last| last / shape.stride[axis]);
    start..end.min(shape.output[axis]).max(start)
}

/// Writes the windows of every input line of a strip; `chunks` of them are under
/// the kernel.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn expand_lines(input: &Input<'_>, chunks: usize, staged: &mut [u8]) {
    let shape = input.shape;
    let (width, pixel) = (shape.output[1], shape.in_channels);
    let line_len = width * CHUNK;
    let lines = input.lines.len() - 1 + chunks;
    if staged.len() < lines * line_len || shape.input_len() != Some(input.x.len()) {
        return;
    }
    let inside = inside(shape, 1);
    for line in 0..lines * WINDOW_LINES {
        let to = &mut staged[line / WINDOW_LINES * line_len + line % WINDOW_LINES * WINDOW..];
        let to = to.as_mut_ptr();
        let y = (input.lines.start * shape.stride[0] + line).checked_sub(shape.pad[0]);
        let y = y.filter(|y| *y < shape.input[0]);
        let border = if y.is_some() { inside.clone() } else { 0..0 };
        for x in (0..border.start.min(width)).chain(border.end..width) {
            // SAFETY: the line has a chunk for every column, and this is one of
            // its windows.
            unsafe {
                let to = to.add(x * CHUNK);
                to.write_bytes(0, WINDOW);
                if let Some(y) = y {
                    copy_line(input, [input.image, y, x], true, to);
                }
            }
        }
        let (Some(y), false) = (y, border.is_empty()) else {
            continue;
        };
        let windows = Windows {
            count: border.len(),
            from: shape.stride[1] * pixel,
            to: CHUNK,
            lines: 1,
            line: 0,
            len: shape.kernel[1] * pixel,
        };
        let left = border.start * shape.stride[1] - shape.pad[1];
        let first = ((input.image * shape.input[0] + y) * shape.input[1] + left) * pixel;
        // SAFETY: these windows lie inside of the image; each has as many bytes as
        // a copy writes.
        unsafe { windows.copy(input.x.as_ptr().add(first), to.add(border.start * CHUNK)) };
    }
}

/// Copies the k values of output rows, each to `row_len` bytes; a copy may end
/// up to a chunk behind them, where the next row's overwrites it.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn copy_rows(input: &Input<'_>, rows: Range<usize>, row_len: usize, staged: &mut [u8]) {
    let shape = input.shape;
    if rows.is_empty()
        || staged.len() < rows.len() * row_len + CHUNK
        || shape.input_len() != Some(input.x.len())
    {
        return;
    }
    let [height, width] = shape.output;
    let pixel = shape.in_channels;
    let line = shape.input[1] * pixel;
    // A line of the kernel, where its taps lie together in the input.
    let together = shape.kernel[1] == 1 || shape.dilation[1] == 1 && shape.groups == 1;
    let len = shape.kernel[1] * input.channels;
    let (inside_y, inside_x) = (inside(shape, 0), inside(shape, 1));
    let (mut x, y) = (rows.start % width, rows.start / width);
    let (mut y, mut image) = (y % height, y / height);
    let mut row = 0;
    while row < rows.len() {
        let to = staged[row * row_len..].as_mut_ptr();
        let mut count = 1;
        // SAFETY: a row has room for all k, and a chunk more; the windows of
        // coordinates inside lie in the image.
        unsafe {
            if together && inside_y.contains(&y) && inside_x.contains(&x) {
                count = (inside_x.end - x).min(rows.len() - row);
                let top = y * shape.stride[0] - shape.pad[0];
                let left = x * shape.stride[1] - shape.pad[1];
                let first = (image * shape.input[0] + top) * line + left * pixel + input.channel;
                let windows = Windows {
                    count,
                    from: shape.stride[1] * pixel,
                    to: row_len,
                    lines: shape.kernel[0],
                    line: shape.dilation[0] * line,
                    len,
                };
                windows.copy(input.x.as_ptr().add(first), to);
            } else {
                copy_taps(input, [image, y, x], together, to);
            }
        }
        row += count;
        x += count;
        if x == width {
            (x, y) = (0, y + 1);
            if y == height {
                (y, image) = (0, image + 1);
            }
        }
    }
}

/// Windows of some lines that lie side by side.
struct Windows {
    count: usize,
    /// Bytes from one window's start to the next's, where they come from and
    /// where they go to.
    from: usize,
    to: usize,
    /// Lines of a window, the distance between them, and their bytes.
    lines: usize,
    line: usize,
    len: usize,
}

impl Windows {
    /// Copies the lines of each window, one after another.
    ///
    /// # Safety
    ///
    /// They are there; `to` has room for every window and a chunk behind it,
    /// which the next one overwrites.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn copy(&self, x: *const i8, to: *mut u8) {
        const HALF: usize = CHUNK / 2;
        let last = u64::MAX >> (self.len.wrapping_neg() % CHUNK);
        let half = u32::MAX >> (HALF - self.len.min(HALF));
        for window in 0..self.count {
            let mut x = x.wrapping_add(window * self.from);
            let mut to = to.wrapping_add(window * self.to);
            for _ in 0..self.lines {
                // SAFETY: the masks have no more than the line, or than what is
                // left of it.
                unsafe {
                    if self.len <= HALF {
                        let bytes = _mm256_maskz_loadu_epi8(half, x);
                        _mm256_storeu_si256(to.cast(), bytes);
                    } else {
                        let whole = (self.len - 1) / CHUNK * CHUNK;
                        for at in (0..whole).step_by(CHUNK) {
                            let bytes = _mm512_loadu_si512(x.add(at).cast());
                            _mm512_storeu_si512(to.add(at).cast(), bytes);
                        }
                        let bytes = _mm512_maskz_loadu_epi8(last, x.add(whole));
                        _mm512_storeu_si512(to.add(whole).cast(), bytes);
                    }
                }
                x = x.wrapping_add(self.line);
                to = to.wrapping_add(self.len);
            }
        }
    }
}

/// As [`Windows::copy`], one window of which taps lie outside: zeros for those.
///
/// # Safety
///
/// `to` has room for all k.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn copy_taps(input: &Input<'_>, [image, y, x]: [usize; 3], together: bool, to: *mut u8) {
    let [height, width] = input.shape.kernel;
    let line_len = width * input.channels;
    // SAFETY: the caller's promise.
    unsafe {
        to.write_bytes(0, height * line_len);
        for tap in 0..height {
            if let Some(y) = input.shape.source(0, y, tap) {
                copy_line(input, [image, y, x], together, to.add(tap * line_len));
            }
        }
    }
}

/// Copies what of a kernel's line lies inside, at output column `x` of input line
/// `y`.
///
/// # Safety
///
/// `to` has room for the line.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn copy_line(input: &Input<'_>, [image, y, x]: [usize; 3], together: bool, to: *mut u8) {
    let shape = input.shape;
    let line = (image * shape.input[0] + y) * shape.input[1];
    // Taps inside are next to each other.
    let mut columns = (0..shape.kernel[1]).filter_map(|tap| Some((tap, shape.source(1, x, tap)?)));
    while let Some((tap, column)) = columns.next() {
        let taps = if together {
            1 + columns.by_ref().count()
        } else {
            1
        };
        let from = (line + column) * shape.in_channels + input.channel;
        if let Some(from) = input.x.get(from..from + taps * input.channels) {
            // SAFETY: the caller's promise.
            unsafe { copy_exactly(from, to.add(tap * input.channels)) };
        }
    }
}

/// Copies some bytes, and no more.
///
/// # Safety
///
/// There is room.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
unsafe fn copy_exactly(x: &[i8], to: *mut u8) {
    for (i, x) in x.chunks(CHUNK).enumerate() {
        let mask = u64::MAX >> (CHUNK - x.len());
        // SAFETY: the mask has as many bytes as the chunk; the caller's promise.
        unsafe {
            let bytes = _mm512_maskz_loadu_epi8(mask, x.as_ptr());
            _mm512_mask_storeu_epi8(to.wrapping_add(i * CHUNK).cast(), mask, bytes);
        }
    }
}
