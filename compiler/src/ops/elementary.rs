//! f32 functions that IEEE 754 does not define to the last bit: the kernels'
//! scalar code defines them, so that interpreter and runtime agree.

use anyhow::{Result, anyhow};
use ternrt::Caps;
use ternrt::kernels::eltwise::{self, BinaryKind, Broadcast, Unary, UnaryKind};
use ternrt::kernels::{Ctx, Serial, View, ViewMut};

/// Applies a function to every element.
pub(crate) fn unary(f: &Unary, x: &[f32]) -> Result<Vec<f32>> {
    if f.kind == UnaryKind::Identity {
        return Ok(x.to_vec());
    }
    let mut y = vec![0.0; x.len()];
    eltwise::unary(&mut ctx(), f, View::F32(x), ViewMut::F32(&mut y))
        .map_err(|_| anyhow!("{:?} does not take f32", f.kind))?;
    Ok(y)
}

/// Applies a function to pairs of elements.
pub(crate) fn binary(kind: BinaryKind, a: &[f32], b: &[f32]) -> Result<Vec<f32>> {
    let mut y = vec![0.0; a.len()];
    let refused = || anyhow!("{kind:?} does not take f32");
    let shape = Broadcast::new(&[a.len()], [&[a.len()], &[b.len()]]).ok_or_else(refused)?;
    eltwise::binary(
        &mut ctx(),
        kind,
        &Unary::IDENTITY,
        &shape,
        View::F32(a),
        View::F32(b),
        ViewMut::F32(&mut y),
    )
    .map_err(|_| refused())?;
    Ok(y)
}

fn ctx() -> Ctx<'static> {
    Ctx {
        caps: Caps::SCALAR,
        par: &Serial,
        scratch: &mut [],
    }
}
