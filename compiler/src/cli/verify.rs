//! `ternc verify`: is this file sound, and does this machine compute what it should?

use super::model_file;
use crate::host::Host;
use crate::text_table as table;
use anyhow::{Context, Result, bail};
use std::io::Write;
use std::path::PathBuf;
use ternrt::format::golden::{self, Case, Item};
use ternrt::{Caps, Model};

/// Check a .tern file: its structure, its packed weights, and its golden inputs
/// and outputs with every kernel variant that this CPU has
#[derive(clap::Args)]
pub struct Args {
    /// The compiled model, or the name of a trained one (ternc zoo list)
    model: PathBuf,
    /// Print nothing; the exit code tells
    #[arg(long)]
    quiet: bool,
}

pub(super) fn run(args: Args) -> Result<()> {
    let file = model_file::open_compiled(&args.model)?;
    let model = file.model()?;
    let mut out: Box<dyn Write> = if args.quiet {
        Box::new(std::io::sink())
    } else {
        Box::new(std::io::stdout().lock())
    };
    let ops = model.ops(0).count();
    writeln!(
        out,
        "structure   ok: {} tensors, {ops} ops, {}",
        model.tensor_count(),
        table::bytes(file.bytes().len() as u64)
    )?;

    let mut packed = 0;
    for step in (0..model.entry_count()).flat_map(|e| model.ops(e)) {
        let Some(matrix) = step.record.op.weights(&step.operands) else {
            continue;
        };
        let Some(weights) = step.operands.optional(1).filter(|t| t.codec.is_ternary()) else {
            continue;
        };
        let mut trits = vec![0i8; matrix.len().unwrap_or(0)];
        let constant = model.constant(weights).unwrap_or_default();
        if weights
            .codec
            .unpack_i8(&matrix, constant, &mut trits)
            .is_err()
        {
            bail!(
                "{}: op {} {:?} has packed weights that stand for no trit; compile the model again",
                args.model.display(),
                step.number,
                model.op_name(step.number).unwrap_or_default()
            );
        }
        packed += 1;
    }
    writeln!(
        out,
        "weights     ok: {packed} ternary tensors hold only -1, 0 and +1"
    )?;

    let cases = model.golden().count();
    if cases == 0 {
        writeln!(out, "golden      none in the file")?;
    }
    for caps in Caps::detect().levels().filter(|_| cases > 0) {
        let mut host = Host::with_caps(&model, 1, caps)?;
        let mut worst = 0f32;
        for (number, case) in model.golden().enumerate() {
            let error = largest_error(&model, &mut host, &case)?;
            if error.is_nan() || error > case.tolerance {
                bail!(
                    "{}: golden case {number} with {caps} kernels: relative error {error:e} is over {:e}; \
                     this machine or this build computes wrongly, please report it",
                    args.model.display(),
                    case.tolerance
                );
            }
            worst = worst.max(error);
        }
        writeln!(
            out,
            "golden      ok: {cases} cases with {caps} kernels, largest relative error {worst:.1e}"
        )?;
    }
    Ok(())
}

/// Runs a case; the largest relative error of its outputs.
fn largest_error(model: &Model<'_>, host: &mut Host<'_>, case: &Case<'_>) -> Result<f32> {
    let entry = case.entry as usize;
    let mut session = host.session()?;
    let mut items = case.items();
    for (i, info) in model.inputs(entry).enumerate() {
        let item = items.next().context("a golden case lacks an input")??;
        item.write(info.dtype, session.input_mut_of(entry, i)?)?;
    }
    session.run(entry)?;
    let mut worst = 0f32;
    for (i, info) in model.outputs(entry).enumerate() {
        let Item::Raw(expected) = items.next().context("a golden case lacks an output")?? else {
            bail!("a golden output is not stored");
        };
        let error = golden::error(info.dtype, session.output_of(entry, i)?, expected)?;
        worst = if error > worst || error.is_nan() {
            error
        } else {
            worst
        };
    }
    Ok(worst)
}
