//! What is certainly no SQL.
