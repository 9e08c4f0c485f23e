//! What SQLAlchemy and Alembic hand to a migration.

use crate::SideEffect;
use std::cell::RefCell;
use std::rc::Rc;

use super::metadata::Holder;
use super::value::{Class, Value};
use rollback_core::operation::{
    ColumnDefinition, ColumnType, Constraint, Name, Operation, Place, Recreate, Reference,
    RowChange, TableName,
};

/// Columns that an expression names, each with its table.
pub(super) type Mentions = Vec<(TableName, String)>;

/// A thing.
#[derive(Debug)]
pub(super) enum SqlaObject {
    /// `op.batch_alter_table(...)`.
    Batch(Batch),
    /// `autocommit_block()`.
    Autocommit,
    /// `begin()`, `begin_nested()` and other blocks of a connection.
    Block(Value),
    /// `op.get_context()`.
    Context,
    /// A connection or an engine.
    Bind,
    /// `bind.dialect`.
    Dialect,
    /// An inspector.
    Inspector,
    /// A session of the object mapper.
    Session,
    /// `MetaData`, or `Base.metadata`.
    Metadata(Option<Rc<Holder>>),
    /// What `declarative_base()` gives.
    Base(Option<Rc<Holder>>),
    /// Flask-SQLAlchemy's object.
    FlaskDatabase,
    /// A type.
    Type(ColumnType),
    /// PostgreSQL's own `ENUM`, which looks before it makes or drops its type.
    OwnEnum(ColumnType),
    /// A column.
    Column(ColumnValue),
    /// A table.
    Table(Rc<TableValue>),
    /// `table.c`, `table.columns`.
    Columns(Rc<TableValue>),
    /// `ForeignKey(...)`.
    ForeignKey(Reference),
    /// A constraint.
    Constraint(Constraint),
    /// `Index(...)`, with whether it is unique, and the table of its columns.
    Index(Name, Vec<Option<String>>, bool, Option<TableName>),
    /// `Sequence(...)`.
    Sequence(TableName),
    /// `DropTable(...)` and its like: makes or drops a table, index, sequence or schema, with whether only if that
    /// is not there, or there.
    Ddl(Value, bool, bool),
    /// `text(...)`.
    Clause(Rc<[Option<String>]>),
    /// Any other expression of SQL with the columns that it names.
    Expression(Mentions),
    /// Fills a column on the server: `Identity`, `Computed`, `FetchedValue`.
    Filler(&'static str),
    /// `select`, `insert`, `update` or `delete`.
    Statement(Statement),
    /// `session.query(...)`.
    Query(Query),
    /// Rows that were read.
    Rows(Row),
    /// One of them.
    Row(Row),
    /// `relationship(...)` and whatever else of a model is no column, with the table between.
    Relation(Option<TableName>),
    /// What a row is related to, with the table between.
    Related(Option<TableName>),
    /// What only writes a log, or nothing at all.
    Silent,
    /// An exception of Python's.
    Exception(Rc<str>, Option<String>),
    /// `super()`.
    Super(Rc<Class>, Value),
    /// A decorator that gives back what it is given, such as `functools.wraps(function)`.
    Identity,
    /// `contextlib.suppress(...)`, with the classes that it catches.
    Suppress(Value),
    /// `functools.partial`: a function with its first arguments.
    Partial(Value, super::calls::Arguments),
    /// A generator that was not run yet: the function with its arguments.
    Generator(Rc<Generator>),
}

/// A generator with its names bound.
#[derive(Debug)]
pub(super) struct Generator {
    /// The function.
    pub(super) function: Rc<super::value::Function>,
    /// Its scope.
    pub(super) scope: Rc<super::value::Scope>,
}

/// A block of Alembic's batch mode.
#[derive(Debug)]
pub(super) struct Batch {
    /// The table; `None` where it is not known.
    pub(super) table: Option<TableName>,
    /// How.
    pub(super) recreate: Recreate,
    /// Whether `copy_from` is given.
    pub(super) copy_from: bool,
    /// Whether a naming convention is given.
    pub(super) naming_convention: bool,
    /// What was collected, each with whether it is certain once the block is entered.
    pub(super) operations: RefCell<Vec<(Place, Operation, bool)>>,
    /// How deep in uncertain code the block was entered.
    pub(super) entered: u32,
}

/// A column with what is known of it.
#[derive(Debug, Clone)]
pub(super) struct ColumnValue {
    /// Its definition. The name is empty where it is not known.
    pub(super) definition: ColumnDefinition,
    /// The table that it belongs to.
    pub(super) table: Option<TableName>,
    /// `autoincrement=False`.
    pub(super) counts: bool,
    /// Whether a query of the whole model leaves it out.
    pub(super) deferred: bool,
}

/// A table.
#[derive(Debug)]
pub(super) struct TableValue {
    /// Its name; `None` where that is not known.
    pub(super) name: Option<TableName>,
    /// Its columns.
    pub(super) columns: RefCell<Vec<ColumnValue>>,
    /// Its constraints.
    pub(super) constraints: Vec<Constraint>,
    /// Its indexes.
    pub(super) indexes: Vec<(Name, Vec<Option<String>>, bool)>,
    /// Whether it has the columns of the database, so that there may be others.
    pub(super) reflected: bool,
}

/// A statement that was built.
#[derive(Debug, Clone)]
pub(super) struct Statement {
    /// What it changes; `None` for `select`.
    pub(super) change: Option<RowChange>,
    /// The table that it changes.
    pub(super) table: Option<TableName>,
    /// The columns that it sets.
    pub(super) sets: Vec<String>,
    /// Those that it sets to NULL.
    pub(super) nulls: Vec<String>,
    /// The columns and tables that it reads.
    pub(super) reads: Reads,
    /// The models that it selects, in order.
    pub(super) models: Vec<Row>,
    /// Whether it has a condition.
    pub(super) conditional: bool,
}

impl Statement {
    pub(super) fn set(&mut self, column: String, value: &Value) {
        if matches!(value, Value::None) {
            self.nulls.push(column.clone());
        }
        self.sets.push(column);
    }
}

/// What is read, table by table.
#[derive(Debug, Clone, Default)]
pub(super) struct Reads {
    /// The tables in order, each with the columns.
    pub(super) tables: Vec<(TableName, Vec<String>)>,
    /// Whether something is read of which the table is not known.
    pub(super) open: bool,
}

impl Reads {
    /// Adds a table.
    pub(super) fn table(&mut self, table: &TableName) -> &mut Vec<String> {
        let index = if let Some(index) = self.tables.iter().position(|(own, _)| own == table) {
            index
        } else {
            self.tables.push((table.clone(), Vec::new()));
            self.tables.len() - 1
        };
        &mut self.tables[index].1
    }

    /// Adds columns.
    pub(super) fn mention(&mut self, mentions: &Mentions) {
        for (table, column) in mentions {
            let columns = self.table(table);
            if !columns.contains(column) {
                columns.push(column.clone());
            }
        }
    }
}

/// A query of the object mapper.
#[derive(Debug, Clone)]
pub(super) struct Query {
    /// What is selected: the columns of whole models are added when it runs.
    pub(super) models: Vec<Row>,
    /// What is read besides them.
    pub(super) reads: Reads,
    /// `load_only(...)`: these instead of all.
    pub(super) only: Option<Mentions>,
    /// Whether it has a condition.
    pub(super) conditional: bool,
}

/// The shape of the rows of a query or statement.
#[derive(Debug, Clone, Default)]
pub(super) struct Row {
    /// The model.
    pub(super) class: Option<Rc<Class>>,
    /// The table that they are rows of.
    pub(super) table: Option<TableName>,
    /// Its columns, as the model names them and as the table does.
    pub(super) columns: Vec<(String, String)>,
    /// Columns that a query of the whole model selects.
    pub(super) selected: Vec<String>,
    /// Whether there may be none.
    pub(super) optional: bool,
    /// Whether the session will write what is changed in it.
    pub(super) persistent: bool,
    /// What the elements are where they are rows of several models.
    pub(super) parts: Vec<Row>,
}

impl SqlaObject {
    /// The truth, where it is known.
    pub(super) fn truth(&self) -> Option<bool> {
        match self {
            Self::Expression(_) | Self::Clause(_) | Self::Column(_) | Self::Rows(_) => None,
            Self::Statement(_) | Self::Query(_) | Self::Generator(_) | Self::Related(_) => None,
            Self::Row(row) => (!row.optional).then_some(true),
            _ => Some(true),
        }
    }

    /// Whether two are equal, where that is known.
    pub(super) fn equals(&self, other: &Self) -> Option<bool> {
        match (self, other) {
            (Self::Bind, Self::Bind)
            | (Self::Context, Self::Context)
            | (Self::Dialect, Self::Dialect)
            | (Self::Inspector, Self::Inspector)
            | (Self::Session, Self::Session)
            | (Self::FlaskDatabase, Self::FlaskDatabase)
            | (Self::Silent, Self::Silent)
            | (Self::Relation(_), Self::Relation(_)) => Some(true),
            (Self::Metadata(Some(one)), Self::Metadata(Some(two))) => Some(Rc::ptr_eq(one, two)),
            (Self::Type(one), Self::Type(two)) | (Self::OwnEnum(one), Self::OwnEnum(two)) => {
                (one == two).then_some(true)
            }
            _ => None,
        }
    }

    /// What code that is handed it may change.
    pub(super) fn side_effects(&self) -> Option<SideEffect> {
        match self {
            Self::Session | Self::Query(_) | Self::Row(_) | Self::Rows(_) | Self::Inspector
                if self.is_live() =>
            {
                Some(SideEffect::Rows)
            }
            _ if self.is_live() => Some(SideEffect::Schema),
            _ => None,
        }
    }

    /// Whether it leads to the database.
    pub(super) fn is_live(&self) -> bool {
        match self {
            Self::Batch(_)
            | Self::Block(_)
            | Self::Context
            | Self::Bind
            | Self::Session
            | Self::Query(_)
            | Self::FlaskDatabase
            | Self::Inspector => true,
            Self::Row(row) | Self::Rows(row) => row.persistent,
            Self::Partial(function, _) => function.may_act(),
            _ => false,
        }
    }
}
