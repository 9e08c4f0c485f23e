//! Constraints.

use super::super::interpreter::{Evaluated, Interpreter};
use super::super::models::{condition, name_of, words};
use super::super::value::Value;
use super::Directive;
use rollback_core::operation::{Constraint, ConstraintKind, Operation, Reference};

impl Interpreter<'_> {
    pub(super) fn create_constraint(&mut self, directive: &Directive<'_>) -> Evaluated<()> {
        let Some(table) = directive.table(&["table_name", "source_table", "source", "tablename"])
        else {
            return self.vague(directive, "the table");
        };
        let name = name_of(directive.get(0, &["constraint_name", "name"]));
        let columns = |position: usize, names: &[&str]| words(directive.get(position, names));
        let constraint = match directive.name {
            "create_primary_key" | "create_unique_constraint" => {
                let Some(columns) = columns(2, &["columns", "cols"]) else {
                    return self.vague(directive, "the columns");
                };
                if directive.name == "create_primary_key" {
                    Constraint::PrimaryKey { name, columns }
                } else {
                    let alike = self.alike(directive);
                    Constraint::Unique {
                        name,
                        columns,
                        alike,
                    }
                }
            }
            "create_check_constraint" => Constraint::Check {
                name,
                condition: directive
                    .get(2, &["condition", "source"])
                    .and_then(condition),
                not_valid: directive.arguments.flag("postgresql_not_valid"),
            },
            "create_foreign_key" => {
                let referent = super::table_name(
                    directive.get(2, &["referent_table", "referent"]),
                    directive.arguments.named("referent_schema"),
                );
                let Some(referent) = referent else {
                    return self.vague(directive, "the referent");
                };
                let (Some(here), Some(there)) =
                    (columns(3, &["local_cols"]), columns(4, &["remote_cols"]))
                else {
                    return self.vague(directive, "the columns");
                };
                Constraint::ForeignKey {
                    columns: here,
                    references: Reference {
                        name,
                        table: referent,
                        columns: there,
                        on_delete: directive.named("ondelete"),
                        inline: false,
                    },
                    not_valid: directive.arguments.flag("postgresql_not_valid"),
                }
            }
            _ => Constraint::Check {
                name,
                condition: None,
                not_valid: false,
            },
        };
        self.emit(directive, Operation::AddConstraint { table, constraint })
    }

    pub(super) fn drop_constraint(&mut self, directive: &Directive<'_>) -> Evaluated<()> {
        let Some(table) = directive.table(&["table_name", "tablename"]) else {
            return self.vague(directive, "the table");
        };
        let kind = match directive.get(2, &["type_"]).and_then(Value::as_text) {
            Some("primary") => Some(ConstraintKind::PrimaryKey),
            Some("unique") => Some(ConstraintKind::Unique),
            Some("foreignkey") => Some(ConstraintKind::ForeignKey),
            Some("check") => Some(ConstraintKind::Check),
            _ => None,
        };
        self.emit(
            directive,
            Operation::DropConstraint {
                table,
                name: name_of(directive.get(0, &["constraint_name", "name"])),
                kind,
                if_exists: directive.arguments.flag("if_exists"),
                cascade: false,
            },
        )
    }
}
