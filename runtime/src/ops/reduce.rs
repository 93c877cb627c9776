//! `reduce`.

use super::table::Reduce;
use super::{Exec, Operands};
use crate::Error;
use tern_kernels::Caps;

pub(super) fn check(op: &Reduce, io: &Operands<'_>) -> Result<(), Error> {
    let _ = (op, io);
    todo!()
}

pub(super) fn scratch(op: &Reduce, io: &Operands<'_>, caps: Caps, threads: usize) -> usize {
    let _ = (op, io, caps, threads);
    0
}

pub(super) fn run(op: &Reduce, io: &Operands<'_>, exec: &mut Exec<'_>) -> Result<(), Error> {
    let _ = (op, io, exec);
    todo!()
}
