//! `CREATE TABLE` and `ALTER TABLE`, in the words of directives.

use sqlparser::ast::{
    AlterColumnOperation, AlterTable, AlterTableOperation, ColumnDef, ColumnOption, CreateTable,
    DataType, DropBehavior, Expr, ForeignKeyConstraint, Ident, IndexColumn, NullsDistinctOption,
    ReferentialAction, RenameTableNameKind, TableConstraint,
};

use super::holes::{has_hole, shown};
use super::operations::{Names, index_columns, is_in_part};
use super::rights;
use super::types::read_type;
use rollback_core::dialect::Dialect;
use rollback_core::operation::{
    ColumnChange, ColumnDefinition, ColumnType, Constraint, ConstraintKind, Name, Operation,
    Reference, TableName, UniqueScope,
};

/// What of a `CREATE TABLE` says all about the table; `None` where it comes from elsewhere.
pub(super) fn create(names: Names, it: &CreateTable) -> Option<Vec<Operation>> {
    let elsewhere = it.query.is_some()
        || it.like.is_some()
        || it.clone.is_some()
        || it.inherits.is_some()
        || it.partition_of.is_some()
        || it.or_replace;
    if elsewhere {
        return None;
    }
    let table = names.table(&it.name)?;
    let mut columns = Vec::new();
    let mut constraints = Vec::new();
    for column in &it.columns {
        let (definition, checks) = define(names, column)?;
        columns.push(definition);
        constraints.extend(checks);
    }
    let mut indexes = Vec::new();
    for constraint in &it.constraints {
        match constrain(names, &table, constraint, false)? {
            Operation::AddConstraint { constraint, .. } => constraints.push(constraint),
            index => indexes.push(index),
        }
    }
    for constraint in &constraints {
        if let Constraint::PrimaryKey { columns: key, .. } = constraint {
            for column in columns.iter_mut().filter(|one| key.contains(&one.name)) {
                column.primary_key = true;
                column.nullable = false;
            }
        }
    }
    if names.0 == Dialect::Sqlite {
        // The column that SQLite numbers by itself.
        let mut keys = columns.iter_mut().filter(|column| column.primary_key);
        if let (Some(key), None) = (keys.next(), keys.next())
            && key
                .kind
                .as_ref()
                .is_some_and(|kind| kind.written.eq_ignore_ascii_case("integer"))
        {
            key.server_default.get_or_insert_with(|| "rowid".to_owned());
        }
    }
    let mut operations = vec![Operation::CreateTable {
        table,
        columns,
        constraints,
        if_not_exists: it.if_not_exists,
    }];
    operations.extend(indexes);
    Some(operations)
}

/// Each change of an `ALTER TABLE`; `None` where one of them is none that has a word.
pub(super) fn alter(names: Names, it: &AlterTable) -> Option<Vec<Operation>> {
    let mut table = names.table(&it.name)?;
    let mut operations = Vec::new();
    for operation in &it.operations {
        let changes = change(names, &table, operation)?;
        if let Some(Operation::RenameTable { to, .. }) = changes.last() {
            table.name.clone_from(to);
        }
        operations.extend(changes);
    }
    if it.if_exists {
        for operation in &mut operations {
            forgive(operation)?;
        }
    }
    Some(operations)
}

/// A directive that may find nothing to do; `None` where it has no way to say so.
fn forgive(operation: &mut Operation) -> Option<()> {
    match operation {
        Operation::DropColumn { if_exists, .. } | Operation::DropConstraint { if_exists, .. } => {
            *if_exists = true;
            Some(())
        }
        Operation::ChangeRights { .. } => Some(()),
        _ => None,
    }
}

fn is_cascade(behavior: Option<&DropBehavior>) -> bool {
    matches!(behavior, Some(DropBehavior::Cascade))
}

fn change(names: Names, table: &TableName, it: &AlterTableOperation) -> Option<Vec<Operation>> {
    use AlterTableOperation as Of;
    let drop_constraint = |name: Name, kind, if_exists, behavior: &Option<DropBehavior>| {
        vec![Operation::DropConstraint {
            table: table.clone(),
            name,
            kind,
            if_exists,
            cascade: is_cascade(behavior.as_ref()),
        }]
    };
    Some(match it {
        Of::AddConstraint {
            constraint,
            not_valid,
        } => vec![constrain(names, table, constraint, *not_valid)?],
        Of::AddColumn {
            if_not_exists,
            column_def,
            ..
        } => {
            let (column, constraints) = define(names, column_def)?;
            let mut operations = vec![Operation::AddColumn {
                table: table.clone(),
                column,
                if_not_exists: *if_not_exists,
            }];
            operations.extend(
                constraints
                    .into_iter()
                    .map(|constraint| Operation::AddConstraint {
                        table: table.clone(),
                        constraint,
                    }),
            );
            operations
        }
        Of::DropColumn {
            column_names,
            if_exists,
            drop_behavior,
            ..
        } => column_names
            .iter()
            .map(|column| Operation::DropColumn {
                table: table.clone(),
                column: names.name(column),
                if_exists: *if_exists,
                cascade: is_cascade(drop_behavior.as_ref()),
            })
            .collect(),
        Of::DropConstraint {
            if_exists,
            name,
            drop_behavior,
        } => drop_constraint(
            Name::Known(names.name(name)),
            None,
            *if_exists,
            drop_behavior,
        ),
        Of::DropPrimaryKey { drop_behavior } => drop_constraint(
            Name::Known("PRIMARY".to_owned()),
            Some(ConstraintKind::PrimaryKey),
            false,
            drop_behavior,
        ),
        Of::DropForeignKey {
            name,
            drop_behavior,
        } => drop_constraint(
            Name::Known(names.name(name)),
            Some(ConstraintKind::ForeignKey),
            false,
            drop_behavior,
        ),
        Of::DropIndex { name } => vec![Operation::DropIndex {
            name: Name::Known(names.name(name)),
            table: Some(table.clone()),
            concurrently: false,
            if_exists: false,
        }],
        Of::RenameTable { table_name } => {
            let (RenameTableNameKind::As(to) | RenameTableNameKind::To(to)) = table_name;
            vec![rename(table, &names.table(to)?)?]
        }
        Of::RenameColumn {
            old_column_name,
            new_column_name,
        } => vec![Operation::AlterColumn {
            table: table.clone(),
            column: names.name(old_column_name),
            change: ColumnChange {
                new_name: Some(names.name(new_column_name)),
                ..ColumnChange::default()
            },
        }],
        Of::ChangeColumn {
            old_name,
            new_name,
            data_type,
            options,
            ..
        } => vec![redefine(
            names, table, old_name, new_name, data_type, options,
        )?],
        Of::ModifyColumn {
            col_name,
            data_type,
            options,
            ..
        } => vec![redefine(
            names, table, col_name, col_name, data_type, options,
        )?],
        Of::AlterColumn { column_name, op } => vec![Operation::AlterColumn {
            table: table.clone(),
            column: names.name(column_name),
            change: alter_column(names, op),
        }],
        Of::DisableRowLevelSecurity | Of::NoForceRowLevelSecurity => {
            vec![rights(true, Some(table.clone()))]
        }
        Of::EnableRowLevelSecurity | Of::ForceRowLevelSecurity | Of::OwnerTo { .. } => {
            vec![rights(false, Some(table.clone()))]
        }
        Of::EnableTrigger { .. }
        | Of::DisableTrigger { .. }
        | Of::EnableAlwaysTrigger { .. }
        | Of::EnableReplicaTrigger { .. }
        | Of::ReplicaIdentity { .. }
        | Of::SetLogged
        | Of::SetUnlogged
        | Of::Algorithm { .. }
        | Of::Lock { .. }
        | Of::AutoIncrement { .. }
        | Of::ValidateConstraint { .. }
        | Of::SetOptionsParens { .. } => Vec::new(),
        _ => return None,
    })
}

/// A new name; `None` where it leads to another schema.
pub(super) fn rename(table: &TableName, to: &TableName) -> Option<Operation> {
    (to.schema.is_none() || to.schema == table.schema).then(|| Operation::RenameTable {
        table: table.clone(),
        to: to.name.clone(),
    })
}

fn alter_column(names: Names, it: &AlterColumnOperation) -> ColumnChange {
    let mut change = ColumnChange::default();
    match it {
        AlterColumnOperation::SetNotNull => change.nullable = Some(false),
        AlterColumnOperation::DropNotNull => change.nullable = Some(true),
        AlterColumnOperation::SetDefault { value } => {
            change.server_default = Some(default(value));
        }
        AlterColumnOperation::DropDefault => change.server_default = Some(None),
        AlterColumnOperation::SetDataType {
            data_type, using, ..
        } => {
            change.changes_type = true;
            change.kind = kind(names, data_type);
            change.using = using.as_ref().map(|using| shown(&using.to_string()));
        }
        AlterColumnOperation::AddGenerated { .. } => {
            change.server_default = Some(Some("identity".to_owned()));
        }
    }
    change
}

/// `MODIFY` and `CHANGE` say all of a column anew: what is left out is no longer so.
fn redefine(
    names: Names,
    table: &TableName,
    old: &Ident,
    new: &Ident,
    data_type: &DataType,
    options: &[ColumnOption],
) -> Option<Operation> {
    let mut definition = undefined(names, new, data_type);
    let mut constraints = Vec::new();
    for option in options {
        describe(names, &mut definition, &mut constraints, None, option)?;
    }
    if !constraints.is_empty() || definition.primary_key || definition.unique {
        return None;
    }
    let new_name = (names.name(old) != definition.name).then_some(definition.name);
    Some(Operation::AlterColumn {
        table: table.clone(),
        column: names.name(old),
        change: ColumnChange {
            kind: definition.kind,
            changes_type: true,
            nullable: Some(definition.nullable),
            server_default: Some(definition.server_default),
            new_name,
            ..ColumnChange::default()
        },
    })
}

/// The type; `None` where a part of it cannot be followed.
fn kind(names: Names, data_type: &DataType) -> Option<ColumnType> {
    let text = data_type.to_string();
    (!has_hole(&text)).then(|| read_type(&text, names.0))
}

/// SQL of a default; none for NULL.
fn default(value: &Expr) -> Option<String> {
    let text = value.to_string();
    (!text.eq_ignore_ascii_case("null")).then(|| shown(&text))
}

fn undefined(names: Names, name: &Ident, data_type: &DataType) -> ColumnDefinition {
    let serial = data_type.to_string().to_lowercase().contains("serial");
    ColumnDefinition {
        name: names.name(name),
        kind: kind(names, data_type),
        nullable: !serial,
        server_default: serial.then(|| "serial".to_owned()),
        primary_key: false,
        unique: false,
        index: false,
        foreign_keys: Vec::new(),
    }
}

fn define(names: Names, column: &ColumnDef) -> Option<(ColumnDefinition, Vec<Constraint>)> {
    let mut definition = undefined(names, &column.name, &column.data_type);
    let mut constraints = Vec::new();
    for option in &column.options {
        let name = option.name.as_ref();
        describe(
            names,
            &mut definition,
            &mut constraints,
            name,
            &option.option,
        )?;
    }
    Some((definition, constraints))
}

fn describe(
    names: Names,
    column: &mut ColumnDefinition,
    constraints: &mut Vec<Constraint>,
    name: Option<&Ident>,
    option: &ColumnOption,
) -> Option<()> {
    match option {
        ColumnOption::Null => column.nullable = true,
        ColumnOption::NotNull => column.nullable = false,
        ColumnOption::Default(value) => column.server_default = default(value),
        ColumnOption::PrimaryKey(_) => {
            column.primary_key = true;
            column.nullable = false;
            if name.is_some() {
                constraints.push(Constraint::PrimaryKey {
                    name: names.of(name),
                    columns: vec![column.name.clone()],
                });
            }
        }
        ColumnOption::Unique(_) if name.is_some() => constraints.push(Constraint::Unique {
            name: names.of(name),
            columns: vec![column.name.clone()],
            alike: UniqueScope::default(),
        }),
        ColumnOption::Unique(_) => column.unique = true,
        ColumnOption::ForeignKey(key) => {
            column.foreign_keys.push(Reference {
                inline: true,
                ..reference(names, key, name)?
            });
        }
        ColumnOption::Check(check) => constraints.push(Constraint::Check {
            name: names.of(check.name.as_ref().or(name)),
            condition: condition(&check.expr),
            not_valid: check.enforced == Some(false),
        }),
        ColumnOption::Generated { .. } | ColumnOption::Identity(_) => {
            column.server_default = Some(shown(&option.to_string()));
        }
        ColumnOption::DialectSpecific(tokens) => {
            let text: Vec<String> = tokens.iter().map(ToString::to_string).collect();
            let text = text.join(" ").to_uppercase();
            if text.contains("AUTO_INCREMENT") || text.contains("AUTOINCREMENT") {
                column.server_default = Some(text);
            }
        }
        ColumnOption::CharacterSet(_)
        | ColumnOption::Collation(_)
        | ColumnOption::Comment(_)
        | ColumnOption::OnUpdate(_)
        | ColumnOption::Srid(_)
        | ColumnOption::Invisible => {}
        _ => return None,
    }
    Some(())
}

/// SQL of a condition, where all of it is known.
pub(super) fn condition(expression: &Expr) -> Option<String> {
    let text = expression.to_string();
    (!has_hole(&text)).then_some(text)
}

fn reference(names: Names, key: &ForeignKeyConstraint, name: Option<&Ident>) -> Option<Reference> {
    let action = |action: &ReferentialAction| action.to_string();
    Some(Reference {
        name: names.of(key.name.as_ref().or(name)),
        table: names.table(&key.foreign_table)?,
        columns: key
            .referred_columns
            .iter()
            .map(|column| names.name(column))
            .collect(),
        on_delete: key.on_delete.as_ref().map(action),
        inline: false,
    })
}

/// The columns of a key; `None` where one is an expression.
fn key(names: Names, columns: &[IndexColumn]) -> Option<Vec<String>> {
    index_columns(names, columns).into_iter().collect()
}

/// A constraint, or on MariaDB an index, that is part of a table.
fn constrain(
    names: Names,
    table: &TableName,
    constraint: &TableConstraint,
    not_valid: bool,
) -> Option<Operation> {
    let add = |constraint: Constraint| Operation::AddConstraint {
        table: table.clone(),
        constraint,
    };
    let index = |name: Option<&Ident>, columns: &[IndexColumn]| Operation::CreateIndex {
        name: names.of(name),
        table: table.clone(),
        columns: index_columns(names, columns),
        unique: false,
        alike: UniqueScope::default(),
        concurrently: false,
        if_not_exists: false,
    };
    Some(match constraint {
        TableConstraint::PrimaryKey(it) => add(Constraint::PrimaryKey {
            name: names.of(it.name.as_ref()),
            columns: key(names, &it.columns)?,
        }),
        TableConstraint::Unique(it) => add(Constraint::Unique {
            name: names.of(it.name.as_ref().or(it.index_name.as_ref())),
            columns: key(names, &it.columns)?,
            alike: UniqueScope {
                nulls: it.nulls_distinct == NullsDistinctOption::NotDistinct,
                in_part: is_in_part(&it.columns),
                ..UniqueScope::default()
            },
        }),
        TableConstraint::ForeignKey(it) => add(Constraint::ForeignKey {
            columns: it.columns.iter().map(|column| names.name(column)).collect(),
            references: reference(names, it, None)?,
            not_valid,
        }),
        TableConstraint::Check(it) => add(Constraint::Check {
            name: names.of(it.name.as_ref()),
            condition: condition(&it.expr),
            not_valid: not_valid || it.enforced == Some(false),
        }),
        TableConstraint::Index(it) => index(it.name.as_ref(), &it.columns),
        TableConstraint::FulltextOrSpatial(it) => index(it.opt_index_name.as_ref(), &it.columns),
        TableConstraint::PrimaryKeyUsingIndex(_)
        | TableConstraint::UniqueUsingIndex(_)
        | TableConstraint::Exclude(_) => return None,
    })
}
