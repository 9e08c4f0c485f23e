//! The schema of PostgreSQL in one query.

/// PostgreSQL 11 and later. From the catalog, because the information schema leaves out what the user may not
/// touch. Objects dropped meanwhile give null, which is no line.
///
/// - The constraint describes the index that carries it. Not null is part of the column's line, although
///   since 18 it is a constraint of its own.
/// - `older` gives columns that older releases do not have: a name without a prefix means the column of the
///   innermost query that has one.
/// - `member` lists what belongs to an extension or comes with another object, such as the functions of a
///   range type. Only tables, views and sequences of an extension have lines of their own, because the
///   forecast needs the tables.
/// - Rights are compared with the server's defaults (`acldefault`), so that rights that were never set and
///   rights that were set to the default give the same lines. The server lets everybody use the schema
///   `public`, and until 14 create objects in it.
/// - The owner has a line if it is not the owner of the database.
/// - Options of foreign servers and tables may hold passwords, so they are only part of a digest.
///
/// No part goes through all relations for each object, so the query grows with the number of objects. The thousands that
/// come with every server have numbers below 16384, and an index leaves them out.
pub const SCHEMA: &str = include_str!("schema_postgres.sql");
