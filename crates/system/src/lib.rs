//! Programs and files: starts programs in process groups of their own, and opens files that somebody else may have put there.
//!
//! Nothing else starts a program.

pub mod files;
pub mod process;
