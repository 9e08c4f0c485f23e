//! Batch mode: what is collected is done at the end of the block.

use std::cell::RefCell;

use super::super::calls::Arguments;
use super::super::interpreter::{Evaluated, Interpreter};
use super::super::sqlalchemy_objects::{Batch, SqlaObject};
use super::super::value::Value;
use crate::{EventKind, SideEffect};
use rollback_core::operation::{Operation, Recreate};

impl Interpreter<'_> {
    /// `op.batch_alter_table(...)`.
    pub(super) fn begin_batch(&mut self, arguments: &Arguments) -> Evaluated {
        let table = super::table_name(
            arguments.get(0, &["table_name"]),
            arguments.get(1, &["schema"]),
        );
        if table.is_none() {
            self.unknown("the table of batch_alter_table", SideEffect::Schema)?;
        }
        let recreate = match arguments.get(2, &["recreate"]).and_then(Value::as_text) {
            Some("always") => Recreate::Always,
            Some("never") => Recreate::Never,
            _ => Recreate::Auto,
        };
        let given = |name: &str| arguments.named(name).is_some_and(|value| !value.is_none());
        Ok(Value::thing(SqlaObject::Batch(Batch {
            table,
            recreate,
            copy_from: given("copy_from"),
            naming_convention: given("naming_convention"),
            operations: RefCell::default(),
            entered: self.doubt,
        })))
    }

    /// The end of the block. Operations that are not certain are told apart from those that are.
    pub(in super::super) fn end_batch(&mut self, batch: &Batch) -> Evaluated<()> {
        let Some(table) = batch.table.clone() else {
            return Ok(());
        };
        let place = self.place();
        let operations = batch.operations.take();
        if operations.is_empty() && batch.recreate != Recreate::Always {
            return Ok(());
        }
        let mut runs: Vec<(bool, Vec<_>)> = Vec::new();
        for (place, operation, certain) in operations {
            match runs.last_mut() {
                Some((same, run)) if *same == certain => run.push((place, operation)),
                _ => runs.push((certain, vec![(place, operation)])),
            }
        }
        if runs.is_empty() {
            runs.push((true, Vec::new()));
        }
        for (certain, operations) in runs {
            let certain = certain && self.is_certain();
            let operation = Operation::Batch {
                table: table.clone(),
                recreate: batch.recreate,
                copy_from: batch.copy_from,
                naming_convention: batch.naming_convention,
                operations,
            };
            let told = self.happens_at(
                place.clone(),
                certain,
                EventKind::Operation(Box::new(operation)),
            );
            match told {
                // What may not be there may also not fail.
                Err(raised) if !certain && self.is_certain() => self.maybe_raise(raised),
                told => told?,
            }
        }
        Ok(())
    }
}
