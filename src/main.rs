//! The `rollback` binary.

fn main() {}
