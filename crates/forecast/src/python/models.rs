//! What SQLAlchemy's constructors make: columns, constraints, tables, and models as tables.

use super::calls::Arguments;
use super::interpreter::{Evaluated, Interpreter};
use super::operators::pieces_of;
use super::sqlalchemy_objects::{ColumnValue, Mentions, Row, SqlaObject, TableValue};
use super::value::{Class, Code, Function, Item, UNKNOWN, Value};
use rollback_core::operation::{self, ColumnDefinition, Constraint, Family, TableName};
use ruff_python_ast::Expr;
use ruff_python_ast::name::Name;
use std::cell::RefCell;
use std::rc::Rc;

/// The columns that an expression names; `None` where it is none.
pub(super) fn mentions(thing: &SqlaObject) -> Option<Mentions> {
    match thing {
        SqlaObject::Column(column) => Some(
            column
                .table
                .iter()
                .filter(|_| !column.definition.name.is_empty())
                .map(|table| (table.clone(), column.definition.name.clone()))
                .collect(),
        ),
        SqlaObject::Expression(mentions) => Some(mentions.clone()),
        SqlaObject::Clause(_) => Some(Vec::new()),
        SqlaObject::Relation(_) => Some(Vec::new()),
        _ => None,
    }
}

/// What all of these name.
pub(super) fn mentions_of<'a>(values: impl Iterator<Item = &'a Value>) -> Mentions {
    let mut all = Vec::new();
    for value in values {
        gather(value, &mut all, 0);
    }
    all
}

fn gather(value: &Value, all: &mut Mentions, depth: u32) {
    if depth > 5 || all.len() > 500 {
        return;
    }
    match value {
        Value::Thing(thing) => {
            if let Some(found) = mentions(thing) {
                all.extend(found);
            }
        }
        Value::List(list) | Value::Set(list) => {
            for item in list.items.borrow().iter() {
                gather(&item.value, all, depth + 1);
            }
        }
        Value::Tuple(values) => values
            .iter()
            .for_each(|value| gather(value, all, depth + 1)),
        _ => {}
    }
}

/// The name that a value is.
pub(super) fn name_of(value: Option<&Value>) -> operation::Name {
    match value {
        None | Some(Value::None) => operation::Name::Unnamed,
        Some(Value::Text(name)) => operation::Name::Known(name.to_string()),
        Some(_) => operation::Name::Unknown,
    }
}

/// The words of a list; `None` where one is not known.
pub(super) fn words(value: Option<&Value>) -> Option<Vec<String>> {
    let word = |value: &Value| match value {
        Value::Text(word) => Some(word.to_string()),
        Value::Thing(thing) => match &**thing {
            SqlaObject::Column(column) if !column.definition.name.is_empty() => {
                Some(column.definition.name.clone())
            }
            _ => None,
        },
        _ => None,
    };
    match value? {
        Value::List(list) | Value::Set(list) if list.is_exact() => list
            .items
            .borrow()
            .iter()
            .map(|item| word(&item.value))
            .collect(),
        Value::Tuple(values) => values.iter().map(word).collect(),
        value => word(value).map(|word| vec![word]),
    }
}

/// A server default as SQL.
pub(super) fn default_of(value: &Value) -> Option<String> {
    match value {
        Value::None => None,
        Value::Text(text) => Some(format!("'{}'", text.replace('\'', "''"))),
        Value::Thing(thing) => match &**thing {
            SqlaObject::Clause(pieces) => Some(
                pieces
                    .iter()
                    .map(|piece| piece.as_deref().unwrap_or("..."))
                    .collect(),
            ),
            SqlaObject::Filler(sql) => Some((*sql).to_owned()),
            _ => Some("...".to_owned()),
        },
        _ => Some("...".to_owned()),
    }
}

/// The elements of an enumeration of the project.
pub(super) fn members_of_enum(class: &Class) -> Option<Vec<Item>> {
    let is_enum = class.bases.iter().any(|base| match base {
        Value::Foreign(name) => name.starts_with("enum."),
        Value::Class(base) => base
            .bases
            .iter()
            .any(|base| matches!(base, Value::Foreign(name) if name.starts_with("enum."))),
        _ => false,
    });
    is_enum.then(|| {
        class
            .members
            .borrow()
            .iter()
            .filter(|(name, value)| !name.starts_with('_') && !matches!(value, Value::Function(_)))
            .map(|(_, value)| Item {
                value: value.clone(),
                certain: true,
            })
            .collect()
    })
}

impl Interpreter<'_> {
    /// The table that a value stands for.
    pub(super) fn table_of(&mut self, value: &Value) -> Option<TableName> {
        match value {
            Value::Class(class) => self.row_of(class)?.table,
            Value::Instance(instance) => self.row_of(&Rc::clone(&instance.class))?.table,
            Value::Thing(thing) => match &**thing {
                SqlaObject::Table(table) => table.name.clone(),
                SqlaObject::Row(row) | SqlaObject::Rows(row) => row.table.clone(),
                _ => None,
            },
            _ => None,
        }
    }

    /// The shape of a model's rows; `None` where the class is no model that is known.
    pub(super) fn row_of(&mut self, class: &Rc<Class>) -> Option<Row> {
        // The class is left out of what it keeps itself.
        let with_class = |row: Option<Row>| {
            row.map(|row| Row {
                class: Some(Rc::clone(class)),
                ..row
            })
        };
        if let Some(row) = &*class.row.borrow() {
            return with_class(Some(row.clone()));
        }
        let row = self.shape_of(class);
        class.row.borrow_mut().clone_from(&row);
        with_class(row)
    }

    fn shape_of(&mut self, class: &Rc<Class>) -> Option<Row> {
        let mut row = Row {
            persistent: true,
            ..Row::default()
        };
        if let Ok(Some(Value::Thing(thing))) = class.member("__table__")
            && let SqlaObject::Table(table) = &*thing
        {
            row.table.clone_from(&table.name);
            if !table.reflected {
                for column in table.columns.borrow().iter() {
                    let name = column.definition.name.clone();
                    row.columns.push((name.clone(), name.clone()));
                    row.selected.push(name);
                }
            }
            return Some(row);
        }
        let Ok(Some(Value::Text(name))) = class.member("__tablename__") else {
            return None;
        };
        row.table = Some(TableName {
            schema: schema_of(class),
            name: name.to_string(),
        });
        let mut late = Vec::new();
        self.gather_columns(class, &mut row, &mut late, &mut Vec::new(), 0);
        for (attribute, value) in late {
            add_column(&mut row, &attribute, &value);
        }
        Some(row)
    }

    /// Columns stand in the order in which they were made: those of the classes that a class derives
    /// from, its own, and those that are made for it by `declared_attr`. The server names the first
    /// that is missing.
    fn gather_columns(
        &mut self,
        class: &Rc<Class>,
        row: &mut Row,
        late: &mut Vec<(Name, Value)>,
        seen: &mut Vec<Name>,
        depth: u32,
    ) {
        let members = class.members.borrow().clone();
        let mut own = Vec::new();
        for (attribute, value) in members {
            if seen.contains(&attribute) {
                continue;
            }
            match &value {
                Value::Function(function)
                    if function.binding == super::value::Binding::Property
                        && is_declared(function)
                        && depth < 3 =>
                {
                    let bound = Value::Bound(Rc::new((
                        Value::Class(Rc::clone(class)),
                        Rc::clone(function),
                    )));
                    let made = self.call(&bound, Arguments::default()).unwrap_or(UNKNOWN);
                    late.push((attribute.clone(), made));
                }
                _ => own.push((attribute.clone(), value)),
            }
            seen.push(attribute);
        }
        for base in &class.bases {
            if let Value::Class(base) = base
                && depth < 20
            {
                self.gather_columns(base, row, late, seen, depth + 1);
            }
        }
        for (attribute, value) in own {
            add_column(row, &attribute, &value);
        }
    }

    /// A model as a table, for `Model.__table__`.
    pub(super) fn table_of_model(&mut self, class: &Rc<Class>) -> Option<Rc<TableValue>> {
        if let Ok(Some(Value::Thing(thing))) = class.member("__table__")
            && let SqlaObject::Table(table) = &*thing
        {
            return Some(Rc::clone(table));
        }
        let row = self.row_of(class)?;
        let mut columns = Vec::new();
        for (attribute, name) in &row.columns {
            if let Ok(Some(Value::Thing(thing))) = class.member(attribute)
                && let SqlaObject::Column(column) = &*thing
            {
                let mut column = column.clone();
                column.definition.name.clone_from(name);
                column.table.clone_from(&row.table);
                columns.push(column);
            }
        }
        let known = columns.len();
        let mut table = TableValue {
            name: row.table.clone(),
            columns: RefCell::new(columns),
            constraints: Vec::new(),
            indexes: Vec::new(),
            // Mixins of other packages may add columns.
            reflected: class
                .bases
                .iter()
                .any(|base| matches!(base, Value::Foreign(_) | Value::Unknown(_)))
                || row.columns.len() != row.selected.len()
                || row.columns.len() != known,
        };
        if let Ok(Some(Value::Tuple(arguments))) = class.member("__table_args__") {
            for value in arguments.iter() {
                match value.as_thing() {
                    Some(SqlaObject::Constraint(constraint)) => {
                        table.constraints.push(constraint.clone());
                    }
                    Some(SqlaObject::Index(name, columns, unique, _)) => {
                        table.indexes.push((name.clone(), columns.clone(), *unique));
                    }
                    _ => {}
                }
            }
        }
        Some(Rc::new(table))
    }

    /// A column of a table, by name.
    pub(super) fn column_of_table(&mut self, table: &Rc<TableValue>, name: &str) -> Evaluated {
        let found = table
            .columns
            .borrow()
            .iter()
            .find(|column| column.definition.name == name)
            .cloned();
        let column = if let Some(column) = found {
            column
        } else {
            let arguments = Arguments::of(vec![Value::text(name)]);
            let mut column = self.column(&arguments);
            // A column that a table is not known to have is not named for certain.
            column.table = if table.reflected {
                table.name.clone()
            } else {
                None
            };
            column
        };
        Ok(Value::thing(SqlaObject::Column(column)))
    }
}

/// Whether `declared_attr` makes it for each class.
fn is_declared(function: &Function) -> bool {
    let is_name = |expression: &Expr| matches!(expression, Expr::Name(name) if name.id.as_str() == "declared_attr");
    match &function.code {
        Code::Definition(code) => code
            .decorator_list
            .iter()
            .any(|decorator| is_name(&decorator.expression)),
        Code::Lambda(_) => false,
    }
}

fn add_column(row: &mut Row, attribute: &Name, value: &Value) {
    if let Some(SqlaObject::Column(column)) = value.as_thing() {
        let name = if column.definition.name.is_empty() {
            attribute.to_string()
        } else {
            column.definition.name.clone()
        };
        row.columns.push((attribute.to_string(), name.clone()));
        if !column.deferred {
            row.selected.push(name);
        }
    }
}

/// The table of a model.
pub(super) fn table_of_class(class: &Class) -> Option<TableName> {
    match (class.member("__table__"), class.member("__tablename__")) {
        (Ok(Some(Value::Thing(thing))), _) => match &*thing {
            SqlaObject::Table(table) => table.name.clone(),
            _ => None,
        },
        (_, Ok(Some(Value::Text(name)))) => Some(TableName {
            schema: schema_of(class),
            name: name.to_string(),
        }),
        _ => None,
    }
}

fn schema_of(class: &Class) -> Option<String> {
    let find = |value: &Value| match value {
        Value::Dict(dictionary) => dictionary.entries.borrow().iter().find_map(|(key, item)| {
            (key.as_text() == Some("schema"))
                .then(|| word(Some(&item.value)))
                .flatten()
        }),
        _ => None,
    };
    match class.member("__table_args__") {
        Ok(Some(Value::Tuple(values))) => values.last().and_then(find),
        Ok(Some(value)) => find(&value),
        _ => None,
    }
    .or_else(|| super::metadata::holder_of(class).and_then(|holder| holder.schema.clone()))
}

pub(super) fn word(value: Option<&Value>) -> Option<String> {
    value.and_then(Value::as_text).map(str::to_owned)
}

/// The text of a condition, where it is known.
pub(super) fn condition(value: &Value) -> Option<String> {
    match pieces_of(value).as_slice() {
        [Some(text)] => Some(text.clone()),
        _ => None,
    }
}

/// A table made from its parts.
pub(super) fn definitions(
    columns: &[ColumnValue],
    constraints: &[Constraint],
) -> Vec<ColumnDefinition> {
    let keyed: Vec<&str> = constraints
        .iter()
        .filter_map(|constraint| match constraint {
            Constraint::PrimaryKey { columns, .. } => Some(columns),
            _ => None,
        })
        .flatten()
        .map(String::as_str)
        .collect();
    let is_key = |column: &ColumnValue| {
        column.definition.primary_key || keyed.contains(&column.definition.name.as_str())
    };
    let keys = columns.iter().filter(|column| is_key(column)).count();
    columns
        .iter()
        .map(|column| {
            let mut definition = column.definition.clone();
            let whole = matches!(
                definition.kind.as_ref().map(|kind| kind.family),
                Some(Family::Integer | Family::BigInteger | Family::SmallInteger)
            );
            if is_key(column)
                && keys == 1
                && whole
                && column.counts
                && definition.foreign_keys.is_empty()
                && definition.server_default.is_none()
            {
                definition.server_default = Some("autoincrement".to_owned());
            }
            definition
        })
        .collect()
}
