//! Keeps a library's panics from escaping.

use anyhow::{Context, Result, bail};
use std::any::Any;
use std::panic;
use std::sync::Once;
use std::thread;

const THREAD: &str = "ternc-import";
/// Deep graphs and nested expressions recurse in the libraries that read them.
const STACK: usize = 64 << 20;

/// Runs `f` on a thread of its own; a panic there becomes an error and prints nothing.
pub(super) fn shielded<T: Send>(f: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    static SILENCE: Once = Once::new();
    SILENCE.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if thread::current().name() != Some(THREAD) {
                previous(info);
            }
        }));
    });
    thread::scope(|scope| {
        let worker = thread::Builder::new()
            .name(THREAD.into())
            .stack_size(STACK)
            .spawn_scoped(scope, f)
            .context("cannot start the import thread")?;
        match worker.join() {
            Ok(result) => result,
            Err(panic) => bail!(
                "the model is malformed: its analysis stopped at \"{}\"",
                message(&*panic)
            ),
        }
    })
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (_, Some(text)) => text.as_str(),
        _ => "unknown",
    };
    // tract's errors carry a backtrace where RUST_BACKTRACE asks for one.
    super::onnx::one_line(text.split("Stack backtrace:").next().unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error() {
        let e = shielded::<()>(|| panic!("index {} out of\nrange", 3)).unwrap_err();
        assert_eq!(
            e.to_string(),
            "the model is malformed: its analysis stopped at \"index 3 out of range\""
        );
    }

    #[test]
    fn results_pass() {
        assert_eq!(shielded(|| Ok(3)).unwrap(), 3);
        assert_eq!(
            shielded::<()>(|| bail!("no")).unwrap_err().to_string(),
            "no"
        );
    }
}
