//! One task: its strips are transformed, their weights decoded and transformed, and tiles
//! multiplied and finished.

use super::plan::{Piece, Plan};
use super::{Kernels, LINES, PairTile, Pairs, ROWS, Starts, X};
use crate::layout::BLOCK;
use crate::par::Pieces;
use crate::product::tiled::Tile;
use crate::product::{Problem, Rows};
use core::marker::PhantomData;
use core::ops::Range;

/// A task, with its scratch laid out as the plan says.
pub(super) struct Task<'a, P: Pairs, R> {
    problem: &'a Problem<'a, R>,
    plan: &'a Plan,
    x: &'a [X<P>],
    scratch: *mut u8,
    pairs: PhantomData<P>,
}

impl<'a, P: Pairs, R: Rows> Task<'a, P, R> {
    /// With scratch as long as the plan says.
    pub(super) fn new(
        problem: &'a Problem<'a, R>,
        plan: &'a Plan,
        x: &'a [X<P>],
        scratch: &'a mut [u8],
    ) -> Self {
        const { assert!(P::ROWS <= ROWS) };
        Task {
            problem,
            plan,
            x,
            scratch: scratch.as_mut_ptr(),
            pairs: PhantomData,
        }
    }

    /// A part of scratch.
    fn part<T>(&self, at: usize) -> *mut T {
        self.scratch.wrapping_add(at).cast()
    }

    /// # Safety
    ///
    /// The CPU has what `P` needs.
    pub(super) unsafe fn run(&self, pieces: &mut Pieces<'_>) {
        // The strip that is there, and of what units and channels the panels are.
        let (mut strip, mut decoded) = (0..0, (0..0, 0..0));
        let channels = self.plan.shape.in_channels;
        for (share, piece) in pieces {
            let Piece { units, pairs } = self.plan.piece(share, piece);
            // SAFETY: the caller's promise; the piece is one of the plan's.
            unsafe {
                if strip != pairs {
                    self.transform(pairs.clone());
                    strip = pairs.clone();
                }
                for first in (0..channels).step_by(self.plan.chunk) {
                    let chunk = first..channels.min(first + self.plan.chunk);
                    let wanted = (units.clone(), chunk.clone());
                    if decoded != wanted {
                        self.decode(&units, &chunk);
                        decoded = wanted;
                    }
                    self.products(units.clone(), &pairs, chunk);
                }
            }
        }
    }

    /// Transforms the input of a strip.
    ///
    /// # Safety
    ///
    /// As for [`run`](Self::run); the strip is one of the plan's.
    unsafe fn transform(&self, pairs: Range<usize>) {
        let plan = self.plan;
        let shape = &plan.shape;
        let channels = shape.in_channels;
        let [height, width] = shape.input;
        let places = shape.output[1] + 2;
        // Places of the padding before the input's, and those of the input.
        let before = shape.pad[1].min(places);
        let inside = width.min(places - before);
        let after = places - before - inside;
        for (i, pair) in pairs.enumerate() {
            let (image, pair) = (pair / plan.image_pairs, pair % plan.image_pairs);
            let mut lines = [None; LINES];
            let mut to = [core::ptr::null_mut(); LINES];
            for line in 0..LINES {
                let y = (2 * pair + line).checked_sub(shape.pad[0]);
                // `None` for what does not exist: the shape is not trusted.
                lines[line] = y.filter(|y| *y < height).and_then(|y| {
                    let first = (image * height + y) * width * channels;
                    self.x.get(first..)?.get(..inside * channels)
                });
                to[line] = self.part::<u8>(plan.image + (i * LINES + line) * plan.line);
            }
            let at = |place: usize| to.map(|to| to.wrapping_add(place * plan.place));
            // SAFETY: the caller's promise; the image has room for every line of a strip.
            unsafe {
                P::transform([None; LINES], before * channels, at(0));
                P::transform(lines, inside * channels, at(before));
                P::transform([None; LINES], after * channels, at(before + inside));
            }
        }
    }

    /// Decodes and transforms the weights of a tile's blocks for some channels.
    ///
    /// # Safety
    ///
    /// As for [`run`](Self::run); there are at most as many units as a tile has blocks,
    /// and as many channels as a chunk has.
    unsafe fn decode(&self, units: &Range<usize>, channels: &Range<usize>) {
        let (plan, size) = (self.plan, &self.problem.size);
        for (i, unit) in units.clone().enumerate() {
            let kernels = Kernels {
                codec: size.codec,
                matrix: &size.matrix,
                block: self.problem.block(unit),
                channels: channels.clone(),
                part: plan.panel / LINES,
            };
            let (quads, panel) = (self.part(plan.quads), self.part(i * plan.panel));
            // SAFETY: the caller's promise; there is room for each block, which nobody
            // else has.
            unsafe {
                let starts = &mut *self.part::<Starts>(plan.starts).add(i);
                P::decode(&kernels, quads, panel, starts);
            }
        }
    }

    /// The products of a strip's channels with a tile's blocks, and after the last ones
    /// the epilogue.
    ///
    /// # Safety
    ///
    /// As for [`run`](Self::run); the strip and the panels are there, and so are the sums
    /// of the channels before.
    unsafe fn products(&self, units: Range<usize>, pairs: &Range<usize>, channels: Range<usize>) {
        let plan = self.plan;
        let width = plan.shape.output[1];
        let all = plan.shape.in_channels;
        let single = channels == (0..all);
        let (first_output, _) = self.problem.outputs(units.start);
        let (last_output, outputs) = self.problem.outputs(units.end - 1);
        let outputs = first_output..last_output + outputs;
        // SAFETY: the caller's promise.
        let columns = unsafe { P::Tile::columns(&self.problem.finish, outputs) };
        let places = pairs.len() * width;
        for (tile, first) in (0..places).step_by(P::ROWS).enumerate() {
            let sums = |tile: usize| {
                let upper: *mut f32 = self.part(plan.sums + tile * plan.tile_sums);
                [upper, upper.wrapping_add(P::ROWS * P::Tile::BLOCKS * BLOCK)]
            };
            let spare = sums(0);
            let sums = sums(if single { 0 } else { 1 + tile });
            let rows = P::ROWS.min(places - first);
            let mut tile = PairTile {
                places: [core::ptr::null(); ROWS],
                line: plan.line,
                rows,
                column: plan.place,
                // Columns of all channels follow each other.
                segments: if single { 1 } else { 3 },
                len: if single { 3 * all } else { channels.len() },
                first: channels.start == 0,
                last: channels.end == all,
                spare,
                panels: self.part(0),
                stride: plan.panel,
                blocks: units.len(),
                starts: self.part(plan.starts),
            };
            for (r, place) in tile.places.iter_mut().enumerate() {
                let at = first + r.min(rows - 1);
                let at = at / width * LINES * plan.line + at % width * plan.place;
                let channel = channels.start * P::Tile::UNIT;
                *place = self.part(plan.image + at + channel);
            }
            // SAFETY: the caller's promises.
            unsafe {
                P::sums(&tile, sums);
                if tile.last {
                    self.finish(&columns, pairs.start * width + first, rows, sums);
                }
            }
        }
    }

    /// Finishes both lines' sums of some places, from `place` of all on.
    ///
    /// # Safety
    ///
    /// As for [`products`](Self::products), which made the sums.
    unsafe fn finish(
        &self,
        columns: &<P::Tile as Tile>::Columns<'_>,
        place: usize,
        places: usize,
        sums: [*mut f32; 2],
    ) {
        let plan = self.plan;
        let [height, width] = plan.shape.output;
        let mut done = 0;
        while done < places {
            let (pair, x) = ((place + done) / width, (place + done) % width);
            let (image, pair) = (pair / plan.image_pairs, pair % plan.image_pairs);
            let run = (width - x).min(places - done);
            for (line, sums) in sums.into_iter().enumerate() {
                let y = 2 * pair + line;
                // The last pair of an image may have one line alone.
                if y < height {
                    let row = (image * height + y) * width + x;
                    let sums = sums.wrapping_add(done * P::Tile::BLOCKS * BLOCK);
                    let k = 9 * plan.shape.in_channels;
                    // SAFETY: the caller's promises: no other task has these outputs.
                    unsafe { P::Tile::finish(columns, row..row + run, sums, k) };
                }
            }
            done += run;
        }
    }
}
