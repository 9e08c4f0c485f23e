//! SQL as far as it has to be understood: what a statement does, and what a type holds.

mod types;

pub use types::read_type;
