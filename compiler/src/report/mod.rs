//! Reports for people and for machines: what is measured or found ([`memory`], [`diff`],
//! [`accuracy`] ...) is plain data that serialises as JSON, and its text and its page are
//! made from that alone. [`page`] is the one style of all pages.

pub mod accuracy;
pub mod arena;
mod compilation;
pub mod diff;
pub mod layers;
pub mod memory;
pub mod page;
pub mod pruning;
mod sensitivity;
pub mod training;

pub use compilation::{Layer, Report, Totals};
