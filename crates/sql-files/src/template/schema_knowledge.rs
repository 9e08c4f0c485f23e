//! What the migrations so far say of the objects that there are.

use std::collections::BTreeMap;

use rollback_core::dialect::Dialect;
use rollback_sql::sql_statement::{
    self, Action, ConstraintKind, Create, Object, Security, SqlStatement,
};
use rollback_sql::words::{self, Name, Part, Reader, Sql};

/// What a column holds where nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum DefaultValue {
    /// It is not known, or counted by the server.
    #[default]
    Unknown,
    Absent,
    /// As it was written.
    Is(String),
}

/// A column as far as it is known.
#[derive(Debug, Clone, Default)]
pub(super) struct KnownColumn {
    /// Its type and all that was said with it, as it was written.
    pub(super) definition: String,
    pub(super) kind: String,
    pub(super) default: DefaultValue,
    pub(super) not_null: bool,
}

/// A table as far as it is known.
#[derive(Debug, Clone, Default)]
pub(super) struct KnownTable {
    /// By name as it is compared.
    pub(super) columns: BTreeMap<String, KnownColumn>,
    /// The columns of the primary key as they were written.
    pub(super) key: Vec<String>,
    /// What was said of each, from `CONSTRAINT` on, by name as it is compared.
    pub(super) constraints: BTreeMap<String, String>,
    /// The statement that made it.
    pub(super) statement: String,
    /// Whether it is as that statement made it.
    pub(super) changed: bool,
    pub(super) row_security: bool,
    pub(super) forced: bool,
    /// Bounds of its partitions, by name as it is compared.
    pub(super) partitions: BTreeMap<String, String>,
}

impl KnownTable {
    /// Takes the columns of its primary key.
    fn keyed(&mut self, columns: &[Part]) {
        self.key = columns.iter().map(|one| one.written.clone()).collect();
        for one in columns {
            if let Some(column) = self.columns.get_mut(&one.folded) {
                column.not_null = true;
            }
        }
    }
}

/// A statement that made something else.
#[derive(Debug, Clone)]
pub(super) struct KnownDefinition {
    pub(super) statement: String,
    /// Whether it is as that statement made it.
    pub(super) changed: bool,
    pub(super) arguments: String,
    on: Option<String>,
}

/// What is known.
#[derive(Debug, Default)]
pub(super) struct SchemaKnowledge {
    pub(super) tables: BTreeMap<String, KnownTable>,
    definitions: BTreeMap<(Object, String), Vec<KnownDefinition>>,
    /// By target in small letters.
    comments: BTreeMap<String, String>,
}

/// What a name is found by: it may be one of a table.
fn key(kind: Object, name: &Name, on: Option<&Name>, dialect: Dialect) -> (Object, String) {
    let kind = match kind {
        Object::Procedure | Object::Aggregate => Object::Function,
        kind => kind,
    };
    let name = match on {
        Some(on) if kind == Object::Index && dialect != Dialect::MySql => {
            on.key_beside(&name.last().folded)
        }
        Some(on)
            if kind.is_of_a_table() && dialect == Dialect::Postgres || kind == Object::Index =>
        {
            format!("{} on {}", name.key(), on.key())
        }
        _ => name.key(),
    };
    (kind, name)
}

impl SchemaKnowledge {
    pub(super) fn table(&self, name: &Name) -> Option<&KnownTable> {
        self.tables.get(&name.key())
    }

    pub(super) fn column(&self, table: &Name, column: &Part) -> Option<&KnownColumn> {
        self.table(table)?.columns.get(&column.folded)
    }

    /// What was made under a name. Of routines there may be several.
    pub(super) fn definitions(
        &self,
        kind: Object,
        name: &Name,
        on: Option<&Name>,
        dialect: Dialect,
    ) -> &[KnownDefinition] {
        self.definitions
            .get(&key(kind, name, on, dialect))
            .map_or(&[], Vec::as_slice)
    }

    /// What was said of something by `COMMENT ON`.
    pub(super) fn comment(&self, target: Reader<'_>) -> Option<&str> {
        self.comments
            .get(&target.in_line().to_lowercase())
            .map(String::as_str)
    }

    /// Goes on by a statement.
    pub(super) fn follow(&mut self, sql: &Sql, act: &SqlStatement<'_>) {
        match act {
            SqlStatement::Create(made) if !made.temporary => self.made(sql, made),
            SqlStatement::Alter {
                kind,
                name,
                on,
                actions,
                ..
            } => {
                for action in actions {
                    self.changed(sql, *kind, name, on.as_ref(), action);
                }
            }
            SqlStatement::RenameTables(pairs) => {
                for (from, to) in pairs {
                    self.renamed(from, &to.key());
                }
            }
            SqlStatement::Drop(it) => {
                for (name, group) in &it.names {
                    let key = key(it.kind, name, it.on.as_ref(), sql.dialect);
                    let left = self.definitions.remove(&key).unwrap_or_default();
                    let arguments = group.map(|group| sql_statement::arguments(Some(group)));
                    let left: Vec<KnownDefinition> = match arguments {
                        Some(arguments) if left.len() > 1 => left
                            .into_iter()
                            .filter(|one| one.arguments != arguments)
                            .collect(),
                        _ => Vec::new(),
                    };
                    if !left.is_empty() {
                        self.definitions.insert(key, left);
                    }
                    if matches!(it.kind, Object::Table | Object::ForeignTable) {
                        let table = name.key();
                        self.tables.remove(&table);
                        for all in self.definitions.values_mut() {
                            all.retain(|one| one.on.as_ref() != Some(&table));
                        }
                        self.definitions.retain(|_, all| !all.is_empty());
                    }
                }
            }
            SqlStatement::Comment { target, text, .. } => {
                let target = target.in_line().to_lowercase();
                match text {
                    Some(text) => self.comments.insert(target, text.rest().to_owned()),
                    None => self.comments.remove(&target),
                };
            }
            _ => {}
        }
    }

    fn made(&mut self, sql: &Sql, made: &Create<'_>) {
        let Some(name) = &made.name else { return };
        let statement = sql.reader().rest().to_owned();
        let mut rest = made.rest;
        if rest.eats("PARTITION OF")
            && let Some(parent) = rest.name()
            && let Some(at) = rest.find(&["FOR VALUES", "DEFAULT"])
            && let Some(parent) = self.tables.get_mut(&parent.key())
        {
            let end = rest.find(&["PARTITION BY", "WITH", "TABLESPACE"]);
            let bounds = Reader { at, ..rest }.until(end.unwrap_or(rest.end));
            parent
                .partitions
                .insert(name.key(), bounds.rest().to_owned());
        }
        if made.kind == Object::Table {
            if !(made.if_not_exists && self.tables.contains_key(&name.key())) {
                self.tables.insert(name.key(), table(made, name, statement));
            }
            return;
        }
        let key = key(made.kind, name, made.on.as_ref(), sql.dialect);
        let all = self.definitions.entry(key).or_default();
        if made.if_not_exists && !all.is_empty() {
            return;
        }
        let arguments = if made.kind.has_arguments() {
            sql_statement::arguments(made.group)
        } else {
            String::new()
        };
        all.retain(|one| one.arguments != arguments);
        all.push(KnownDefinition {
            statement,
            changed: false,
            arguments,
            on: made.on.as_ref().map(Name::key),
        });
    }

    /// What was written with a name that is no longer right cannot be put back as it was.
    fn outdated(&mut self, name: &str) {
        for one in self.definitions.values_mut().flatten() {
            if one.statement.to_lowercase().contains(&name.to_lowercase()) {
                one.changed = true;
            }
        }
        for table in self.tables.values_mut() {
            if table
                .statement
                .to_lowercase()
                .contains(&name.to_lowercase())
            {
                table.changed = true;
            }
            table
                .constraints
                .retain(|_, text| !text.to_lowercase().contains(&name.to_lowercase()));
        }
    }

    fn renamed(&mut self, from: &Name, to: &str) {
        self.outdated(&from.last().folded);
        if let Some(mut table) = self.tables.remove(&from.key()) {
            table.changed = true;
            self.tables.insert(to.to_owned(), table);
        }
    }

    fn changed(
        &mut self,
        sql: &Sql,
        kind: Object,
        name: &Name,
        on: Option<&Name>,
        action: &Action<'_>,
    ) {
        let found = key(kind, name, on, sql.dialect);
        for one in self.definitions.get_mut(&found).into_iter().flatten() {
            one.changed = true;
        }
        match action {
            Action::Rename { to } => {
                self.renamed(name, &name.key_beside(&to.last().folded));
            }
            Action::SetSchema { to } => {
                let to = words::key([to.folded.as_str(), &name.last().folded].into_iter());
                self.renamed(name, &to);
            }
            Action::RenameColumn { from, .. } => self.outdated(&from.folded),
            _ => {}
        }
        let Some(table) = self.tables.get_mut(&name.key()) else {
            return;
        };
        table.changed = true;
        match action {
            Action::AddColumn {
                name,
                if_not_exists,
                definition,
            } if !(*if_not_exists && table.columns.contains_key(&name.folded)) => {
                table
                    .columns
                    .insert(name.folded.clone(), column(*definition));
            }
            Action::AddConstraint {
                name: None,
                sort: ConstraintKind::PrimaryKey,
                columns,
                ..
            } => table.keyed(columns),
            Action::DropColumn { name } => {
                table.columns.remove(&name.folded);
            }
            Action::AddConstraint {
                name: Some(name),
                sort,
                columns,
                definition,
            } => {
                let text = definition.rest().to_owned();
                table.constraints.insert(name.folded.clone(), text);
                if *sort == ConstraintKind::PrimaryKey {
                    table.keyed(columns);
                }
            }
            Action::DropConstraint { name } => {
                table.constraints.remove(&name.folded);
            }
            Action::RenameConstraint { from, .. } => {
                table.constraints.remove(&from.folded);
            }
            Action::RenameColumn { from, to } => {
                if let Some(column) = table.columns.remove(&from.folded) {
                    table.columns.insert(to.folded.clone(), column);
                }
            }
            Action::Default { column, to } => {
                let column = table.columns.entry(column.folded.clone()).or_default();
                column.default = match to {
                    Some(to) => DefaultValue::Is(to.rest().to_owned()),
                    None => DefaultValue::Absent,
                };
            }
            Action::NotNull { column, set } => {
                let column = table.columns.entry(column.folded.clone()).or_default();
                column.not_null = *set;
            }
            Action::ColumnType { column, .. } => {
                if let Some(column) = table.columns.get_mut(&column.folded) {
                    column.kind = String::new();
                    column.definition = String::new();
                }
            }
            Action::ChangeColumn { from } => {
                table.columns.remove(&from.folded);
            }
            Action::RowSecurity(security) => match security {
                Security::Enable => table.row_security = true,
                Security::Disable => table.row_security = false,
                Security::Force => table.forced = true,
                Security::NoForce => table.forced = false,
            },
            Action::Attach { partition } => {
                let text = sql.reader();
                if let Some(at) = text.find(&["FOR VALUES", "DEFAULT"]) {
                    let bounds = Reader { at, ..text }.rest().to_owned();
                    table.partitions.insert(partition.key(), bounds);
                }
            }
            _ => {}
        }
    }
}

fn table(made: &Create<'_>, name: &Name, statement: String) -> KnownTable {
    let mut table = KnownTable {
        statement,
        ..KnownTable::default()
    };
    let mut key = Vec::new();
    for one in made.group.map(Reader::list).unwrap_or_default() {
        if let Some(Action::AddConstraint {
            name: named,
            sort,
            columns,
            definition,
        }) = sql_statement::constraint(one)
        {
            let folded: Vec<&str> = columns.iter().map(|one| one.folded.as_str()).collect();
            let default = by_default(name, sort, &folded);
            if let Some(named) = named.map(|one| one.folded).or(default) {
                let text = definition.rest().to_owned();
                table.constraints.insert(named, text);
            }
            if sort == ConstraintKind::PrimaryKey {
                key = columns;
            }
            continue;
        }
        let mut reader = one;
        if reader.says("LIKE") {
            continue;
        }
        let Some(part) = reader.part() else { continue };
        for (words, sort) in [
            ("PRIMARY KEY", ConstraintKind::PrimaryKey),
            ("UNIQUE", ConstraintKind::Unique),
        ] {
            // A name of its own stands before the words.
            if let Some(at) = reader.find(&[words])
                && !(at >= 2
                    && Reader {
                        at: at - 2,
                        ..reader
                    }
                    .says("CONSTRAINT"))
                && let Some(named) = by_default(name, sort, &[part.folded.as_str()])
            {
                let text = format!("{words} ({})", part.written);
                table.constraints.insert(named, text);
            }
        }
        if reader.find(&["PRIMARY KEY"]).is_some() {
            key = vec![part.clone()];
        }
        table.columns.insert(part.folded, column(reader));
    }
    table.keyed(&key);
    table
}

/// What PostgreSQL calls a key without a name.
fn by_default(table: &Name, sort: ConstraintKind, columns: &[&str]) -> Option<String> {
    let table = &table.last().folded;
    match sort {
        ConstraintKind::PrimaryKey => Some(format!("{table}_pkey")),
        ConstraintKind::Unique => Some(format!("{table}_{}_key", columns.join("_"))),
        _ => None,
    }
}

/// The words that end a type or a default.
const ENDS: &[&str] = &[
    "AFTER",
    "AS",
    "AUTO_INCREMENT",
    "CHECK",
    "COLLATE",
    "COMMENT",
    "COMPRESSION",
    "CONSTRAINT",
    "DEFAULT",
    "FIRST",
    "GENERATED",
    "NOT NULL",
    "NULL",
    "ON UPDATE",
    "PRIMARY KEY",
    "REFERENCES",
    "STORAGE",
    "UNIQUE",
];

fn column(reader: Reader<'_>) -> KnownColumn {
    let end = reader.find(ENDS).unwrap_or(reader.end);
    let kind = reader.until(end).rest().to_owned();
    let counted = kind.to_lowercase().contains("serial") || reader.find(&["GENERATED"]).is_some();
    let default = reader.find(&["DEFAULT"]).map(|at| {
        let from = Reader {
            at: at + 1,
            ..reader
        };
        let mut after = from;
        after.skip();
        // The first word belongs to it, whatever it is: `DEFAULT NULL`.
        let end = after.find(ENDS).unwrap_or(after.end);
        from.until(end).rest().to_owned()
    });
    KnownColumn {
        definition: reader.rest().to_owned(),
        default: match default {
            Some(text) if text.eq_ignore_ascii_case("null") => DefaultValue::Absent,
            Some(text) => DefaultValue::Is(text),
            None if counted => DefaultValue::Unknown,
            None => DefaultValue::Absent,
        },
        not_null: reader.find(&["NOT NULL"]).is_some()
            || reader.find(&["PRIMARY KEY"]).is_some()
            || counted,
        kind,
    }
}
