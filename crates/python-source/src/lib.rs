//! Python files as syntax trees, with bounds on size and depth, and the version files of a project.
//!
//! Nothing is run.

pub mod bindings;
pub mod limits;
pub mod source;
pub mod syntax;
pub mod tree;
pub mod version_file;
