//! What the environment of a program says about how to run.

use std::env;
use std::fmt;
use std::string::String;
use tern_kernels::Caps;

/// Environment variable that names the instruction sets to use.
pub const CAPS_VARIABLE: &str = "TERNRT_CAPS";

/// `TERNRT_CAPS` holds something that is not a list of instruction sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownCaps {
    /// What it holds.
    pub value: String,
}

impl fmt::Display for UnknownCaps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{CAPS_VARIABLE}={:?} is not a list of instruction sets; this CPU has {}, \
             and `scalar` stands for none",
            self.value,
            Caps::detect()
        )
    }
}

impl std::error::Error for UnknownCaps {}

/// The instruction sets to use: those that `TERNRT_CAPS` names (`scalar`, or
/// names with commas between, as [`Caps::parse`] reads them) as far as this CPU
/// has them, or all that it has where the variable is not set or empty.
///
/// # Errors
/// [`UnknownCaps`] for a name that means nothing.
pub fn caps_from_env() -> Result<Caps, UnknownCaps> {
    match env::var_os(CAPS_VARIABLE) {
        Some(value) if !value.is_empty() => choose(&value.to_string_lossy()),
        _ => Ok(Caps::detect()),
    }
}

fn choose(list: &str) -> Result<Caps, UnknownCaps> {
    let unknown = || UnknownCaps { value: list.into() };
    let named = Caps::parse(list).ok_or_else(unknown)?;
    Ok(named.intersection(Caps::detect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn names_choose_and_unknown_ones_are_refused() {
        assert_eq!(choose("scalar"), Ok(Caps::SCALAR));
        let all = Caps::detect().to_string();
        assert_eq!(choose(&all), Ok(Caps::detect()));
        assert!(Caps::detect().has(choose("avx2").unwrap()));
        let text = choose("avx3").unwrap_err().to_string();
        assert!(text.contains("TERNRT_CAPS=\"avx3\""), "{text}");
    }
}
