//! The reference: k ascending, each product rounded before it is added.

use super::{Kernel, Product, Tile};
use crate::{Caps, Variant};

/// Row of the family's table.
pub(super) const VARIANT: Variant<Kernel> = Variant {
    name: "scalar",
    needs: Caps::SCALAR,
    run,
};

fn run(p: &Product<'_>, tile: &mut Tile<'_>) {
    for i in tile.rows.clone() {
        let (first, count) = (tile.columns.start, tile.columns.len());
        let y = tile.row(i, first, count);
        y.fill(0.0);
        for k in 0..p.k {
            let x = p.a[i * p.a_steps[0] + k * p.a_steps[1]];
            let row = &p.b[k * p.b_steps[0]..];
            if p.b_steps[1] == 1 {
                for (y, w) in y.iter_mut().zip(&row[first..]) {
                    *y += x * w;
                }
            } else {
                for (j, y) in (first..).zip(y.iter_mut()) {
                    *y += x * row[j * p.b_steps[1]];
                }
            }
        }
    }
}
