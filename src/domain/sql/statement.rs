//! One statement, in the words of directives.

use sqlparser::ast::{
    AlterTypeOperation, AssignmentTarget, CascadeOption, CreateIndex, CreateTable, CreateView,
    Delete, Expr, FromTable, Ident, IndexColumn, Insert, ObjectName, ObjectNamePart, ObjectType,
    Query, Select, SelectInto, SelectItem, SetExpr, Statement, TableFactor, TableObject,
    TableWithJoins, Update, UserDefinedTypeRepresentation,
};
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;

use super::Effect;
use super::split::{self, Single, grammar, has_hole};
use super::{copies, objects, table};
use crate::domain::dialect::Dialect;
use crate::domain::operation::{IndexRows, Name, Operation, RowChange, TableName, UniqueScope};

/// How names are read: PostgreSQL folds what is not quoted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names(pub(super) Dialect);

impl Names {
    pub(super) fn name(self, name: &Ident) -> String {
        match (self.0, name.quote_style) {
            (Dialect::Postgres, None) => name.value.to_lowercase(),
            (_, Some(quote)) => name
                .value
                .replace(&format!("{quote}{quote}"), &quote.to_string()),
            _ => name.value.clone(),
        }
    }

    pub(super) fn of(self, name: Option<&Ident>) -> Name {
        name.map_or(Name::Unnamed, |name| Name::Known(self.name(name)))
    }

    pub(super) fn table(self, name: &ObjectName) -> Option<TableName> {
        let mut parts = name.0.iter().rev().map(|part| match part {
            ObjectNamePart::Identifier(name) => Some(self.name(name)),
            ObjectNamePart::Function(_) => None,
        });
        let name = parts.next()??;
        Some(TableName {
            schema: parts.next().flatten(),
            name,
        })
    }

    /// The last part: an index lies in the schema of its table.
    fn last(self, name: &ObjectName) -> Option<Name> {
        self.table(name).map(|found| Name::Known(found.name))
    }
}

/// What a statement does.
pub(super) fn effects(single: Single, dialect: Dialect) -> Vec<Effect> {
    let read = match split::depth(&single.tokens) {
        depth if depth <= FLAT => read(&single, dialect),
        depth if depth <= DEEPEST => on_a_deep_stack(|| read(&single, dialect)),
        _ => None,
    };
    read.unwrap_or_else(|| vec![Effect::of(Operation::Sql { text: single.text })])
}

/// A tree is made, walked and dropped by recursion, and the parser takes much stack for each level of
/// it. One of this depth fits any stack.
const FLAT: usize = 24;
/// The deepest that is made at all.
const DEEPEST: usize = 2_000;
const STACK: usize = 64 * 1024 * 1024;

fn on_a_deep_stack<T: Send>(work: impl FnOnce() -> Option<T> + Send) -> Option<T> {
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().stack_size(STACK);
        builder.spawn_scoped(scope, work).ok()?.join().ok()?
    })
}

fn read(single: &Single, dialect: Dialect) -> Option<Vec<Effect>> {
    let names = Names(dialect);
    if let Some(mut operations) = objects::read(&single.tokens, names) {
        if has_hole(&format!("{operations:?}")) {
            return None;
        }
        if objects::does_more(&operations, &single.tokens) {
            operations.push(Operation::Sql {
                text: single.text.clone(),
            });
        }
        let sql = in_words(single);
        for operation in &mut operations {
            if let Operation::ChangeRights { sql: text, .. } = operation {
                text.clone_from(&sql);
            }
        }
        return Some(operations.into_iter().map(Effect::of).collect());
    }
    let mut tokens = single.tokens.clone();
    // The parser knows it of an index that is made, not of one that goes.
    let concurrently = says(&tokens, &["DROP", "INDEX", "CONCURRENTLY"]);
    if concurrently {
        tokens.remove(2);
    }
    let parsed = Parser::new(grammar(dialect))
        .with_tokens(tokens)
        .parse_statements()
        .ok();
    let Some([statement]) = parsed.as_deref() else {
        return UNPARSED
            .iter()
            .any(|words| says(&single.tokens, words))
            .then(Vec::new);
    };
    if ends_transaction(statement, dialect) {
        return Some(vec![Effect::EndsTransaction]);
    }
    let mut reader = Reader {
        names,
        tokens: &single.tokens,
        sql: in_words(single),
    };
    let mut operations = reader.operations(statement)?;
    if has_hole(&format!("{operations:?}")) {
        return None;
    }
    for operation in &mut operations {
        match operation {
            Operation::ChangeRows { sql, .. } => *sql = Some(reader.sql.clone()),
            Operation::ChangeRights { sql, .. } => sql.clone_from(&reader.sql),
            Operation::DropIndex {
                concurrently: flag, ..
            } => *flag = concurrently,
            _ => {}
        }
    }
    Some(operations.into_iter().map(Effect::of).collect())
}

/// For people.
fn in_words(single: &Single) -> String {
    let pieces = single.text.iter();
    pieces
        .map(|piece| piece.as_deref().unwrap_or("{...}"))
        .collect()
}

/// Statements that change nothing that is looked at, in forms that the parser does not know.
const UNPARSED: &[&[&str]] = &[
    &["ANALYZE"],
    &["CHECKPOINT"],
    &["CLUSTER"],
    &["COMMENT", "ON"],
    &["LOCK"],
    &["OPTIMIZE"],
    &["PRAGMA"],
    &["REFRESH", "MATERIALIZED", "VIEW"],
    &["REINDEX"],
    &["SET"],
    &["SHOW"],
    &["UNLOCK"],
    &["VACUUM"],
];

/// Whether a statement begins with these words.
fn says(tokens: &[Token], words: &[&str]) -> bool {
    tokens.len() >= words.len()
        && tokens.iter().zip(words).all(|(token, word)| {
            matches!(token, Token::Word(found) if found.quote_style.is_none()
                && found.value.eq_ignore_ascii_case(word))
        })
}

fn ends_transaction(statement: &Statement, dialect: Dialect) -> bool {
    match statement {
        Statement::Commit { .. } => true,
        Statement::Rollback { savepoint, .. } => savepoint.is_none(),
        // Here alone it commits what was open; elsewhere it is a warning or an error.
        Statement::StartTransaction { .. } => dialect == Dialect::MySql,
        _ => false,
    }
}

pub(super) fn index_columns(names: Names, columns: &[IndexColumn]) -> Vec<Option<String>> {
    columns
        .iter()
        .map(|column| match &column.column.expr {
            Expr::Identifier(name) => Some(names.name(name)),
            // On MariaDB the first letters of a column: `name(20)`.
            Expr::Function(function) if names.0 == Dialect::MySql => {
                names.table(&function.name).map(|name| name.name)
            }
            _ => None,
        })
        .collect()
}

/// Whether one of the columns stands there with a length: `name(20)`.
pub(super) fn is_in_part(columns: &[IndexColumn]) -> bool {
    let mut columns = columns.iter();
    columns.any(|column| matches!(column.column.expr, Expr::Function(_)))
}

struct Reader<'a> {
    names: Names,
    tokens: &'a [Token],
    /// The statement for people.
    sql: String,
}

impl Reader<'_> {
    /// The directives of a statement; `None` where it has none.
    fn operations(&mut self, statement: &Statement) -> Option<Vec<Operation>> {
        let names = self.names;
        Some(match statement {
            Statement::CreateTable(it) if it.query.is_some() => self.create_table_as(it)?,
            Statement::CreateTable(it) => table::create(names, it)?,
            Statement::AlterTable(it) => table::alter(names, it)?,
            Statement::RenameTable(renames) => renames
                .iter()
                .map(|one| {
                    table::rename(&names.table(&one.old_name)?, &names.table(&one.new_name)?)
                })
                .collect::<Option<_>>()?,
            Statement::CreateIndex(it) => vec![self.create_index(it)?],
            Statement::CreateView(it) => vec![self.create_view(it)?],
            Statement::Drop {
                object_type,
                if_exists,
                names: dropped,
                cascade,
                table,
                ..
            } => dropped
                .iter()
                .map(|name| self.drop(*object_type, name, *if_exists, *cascade, table.as_ref()))
                .collect::<Option<_>>()?,
            Statement::CreateType {
                name,
                representation: Some(UserDefinedTypeRepresentation::Enum { labels }),
            } => vec![Operation::CreateEnum {
                name: names.table(name)?,
                values: labels.iter().map(|label| label.value.clone()).collect(),
                if_not_exists: false,
            }],
            Statement::AlterType(it) => match &it.operation {
                AlterTypeOperation::Rename(to) => vec![Operation::RenameType {
                    name: names.table(&it.name)?,
                    to: names.name(&to.new_name),
                }],
                AlterTypeOperation::AddValue(added) => vec![Operation::AddEnumValue {
                    name: names.table(&it.name)?,
                    value: added.value.value.clone(),
                    if_not_exists: added.if_not_exists,
                }],
                AlterTypeOperation::RenameValue(_) => return None,
            },
            Statement::Insert(it) => self.insert(it)?,
            Statement::Update(it) => self.update(it)?,
            Statement::Delete(it) => self.delete(it)?,
            Statement::Truncate(it) => {
                if it.if_exists || matches!(it.cascade, Some(CascadeOption::Cascade)) {
                    return None;
                }
                it.table_names
                    .iter()
                    .map(|one| {
                        Some(rows(
                            RowChange::Delete,
                            names.table(&one.name)?,
                            Vec::new(),
                            false,
                        ))
                    })
                    .collect::<Option<_>>()?
            }
            Statement::Merge(it) => {
                let mut operations = self.read_tables([&it.source]);
                let changed = self.factor(&it.table)?;
                operations.push(rows(RowChange::Some, changed, Vec::new(), true));
                operations
            }
            Statement::Query(query) => self.query(query)?,
            Statement::Grant(_) | Statement::CreateRole(_) | Statement::AlterRole { .. } => {
                vec![rights(true)]
            }
            Statement::Revoke(_) | Statement::Deny(_) => vec![rights(false)],
            // Which rows are seen afterwards depends on the others.
            Statement::AlterPolicy(_) => vec![rights(true)],
            Statement::Explain { analyze: false, .. }
            | Statement::Analyze(_)
            | Statement::Comment { .. }
            | Statement::CreateSchema { .. }
            | Statement::Deallocate { .. }
            | Statement::Discard { .. }
            | Statement::ExplainTable { .. }
            | Statement::Flush { .. }
            | Statement::LISTEN { .. }
            | Statement::Lock(_)
            | Statement::LockTables { .. }
            | Statement::NOTIFY { .. }
            | Statement::OptimizeTable { .. }
            | Statement::Pragma { .. }
            | Statement::ReleaseSavepoint { .. }
            | Statement::Reset(_)
            | Statement::Rollback { .. }
            | Statement::Savepoint { .. }
            | Statement::Set(_)
            | Statement::ShowColumns { .. }
            | Statement::ShowCreate { .. }
            | Statement::ShowStatus { .. }
            | Statement::ShowTables { .. }
            | Statement::ShowVariable { .. }
            | Statement::ShowVariables { .. }
            | Statement::StartTransaction { .. }
            | Statement::UNLISTEN { .. }
            | Statement::UnlockTables
            | Statement::Vacuum(_) => Vec::new(),
            _ => return None,
        })
    }

    fn create_index(&self, it: &CreateIndex) -> Option<Operation> {
        let name = match &it.name {
            Some(name) => self.names.last(name)?,
            None => Name::Unnamed,
        };
        Some(Operation::CreateIndex {
            name,
            table: self.names.table(&it.table_name)?,
            columns: index_columns(self.names, &it.columns),
            unique: it.unique,
            alike: UniqueScope {
                among: match it.predicate.as_ref().map(table::condition) {
                    None => IndexRows::All,
                    Some(Some(text)) => IndexRows::Where(text),
                    Some(None) => IndexRows::Unknown,
                },
                nulls: it.nulls_distinct == Some(false),
                in_part: is_in_part(&it.columns),
            },
            concurrently: it.concurrently,
            if_not_exists: it.if_not_exists,
        })
    }

    /// Not a temporary one: it is gone with the connection, and what it holds as well.
    fn create_table_as(&mut self, it: &CreateTable) -> Option<Vec<Operation>> {
        let query = it.query.as_deref()?;
        let plain = !it.temporary
            && !it.or_replace
            && it.columns.is_empty()
            && it.constraints.is_empty()
            && it.inherits.is_none();
        let table = self.names.table(&it.name).filter(|_| plain)?;
        let start = self.tokens.iter().position(|token| {
            says(std::slice::from_ref(token), &["SELECT"])
                || says(std::slice::from_ref(token), &["WITH"])
        })?;
        self.tokens = &self.tokens[start..];
        let mut operations = self.query(query)?;
        operations.extend(copies::table_as(self.names, table, query, it.if_not_exists));
        Some(operations)
    }

    fn select_into(&mut self, query: &Query, into: &SelectInto) -> Option<Vec<Operation>> {
        let [Expr::Identifier(_) | Expr::CompoundIdentifier(_)] = into.targets.as_slice() else {
            return None;
        };
        if self.names.0 != Dialect::Postgres || into.temporary {
            return None;
        }
        let parts: Vec<Ident> = match into.targets.first()? {
            Expr::Identifier(name) => vec![name.clone()],
            Expr::CompoundIdentifier(names) => names.clone(),
            _ => return None,
        };
        let table = self.names.table(&ObjectName::from(parts))?;
        let mut plain = query.clone();
        if let SetExpr::Select(select) = plain.body.as_mut() {
            select.into = None;
        }
        let mut operations = self.query(&plain)?;
        operations.extend(copies::table_as(self.names, table, &plain, false));
        Some(operations)
    }

    fn create_view(&self, it: &CreateView) -> Option<Operation> {
        let query = it.query.to_string();
        Some(Operation::CreateView {
            name: self.names.table(&it.name)?,
            or_replace: it.or_replace || it.if_not_exists,
            query: (!has_hole(&query)).then_some(query),
        })
    }

    fn drop(
        &self,
        kind: ObjectType,
        name: &ObjectName,
        if_exists: bool,
        cascade: bool,
        table: Option<&ObjectName>,
    ) -> Option<Operation> {
        let names = self.names;
        Some(match kind {
            ObjectType::Table => Operation::DropTable {
                table: names.table(name)?,
                if_exists,
                cascade,
            },
            ObjectType::View | ObjectType::MaterializedView => Operation::DropView {
                name: names.table(name)?,
                if_exists,
                cascade,
            },
            ObjectType::Type => Operation::DropType {
                name: names.table(name)?,
                if_exists,
                cascade,
            },
            // With what hangs on a unique index its constraints may go.
            ObjectType::Index if !cascade => Operation::DropIndex {
                name: names.last(name)?,
                table: match table {
                    Some(table) => Some(names.table(table)?),
                    None => None,
                },
                concurrently: false,
                if_exists,
            },
            ObjectType::Role | ObjectType::User => rights(false),
            _ => return None,
        })
    }

    fn insert(&mut self, it: &Insert) -> Option<Vec<Operation>> {
        let TableObject::TableName(name) = &it.table else {
            return None;
        };
        if !it.multi_table_into_clauses.is_empty() || !it.multi_table_when_clauses.is_empty() {
            return None;
        }
        let table = self.names.table(name)?;
        let listed = it.columns.iter().map(|name| self.names.table(name));
        let mut columns: Vec<String> = listed
            .map(|name| name.map(|name| name.name))
            .collect::<Option<_>>()?;
        for assignment in &it.assignments {
            columns.extend(self.assigned(&assignment.target)?);
        }
        let mut operations = Vec::new();
        let mut copied = None;
        let mut conditional = it.ignore || it.on.is_some() || it.or.is_some();
        match it
            .source
            .as_deref()
            .map(|source| (source, source.body.as_ref()))
        {
            None | Some((_, SetExpr::Values(_))) => {}
            Some((source, _)) => {
                let spares_some = std::mem::replace(&mut conditional, true);
                let query = self.tokens.iter().position(|token| {
                    says(std::slice::from_ref(token), &["SELECT"])
                        || says(std::slice::from_ref(token), &["WITH"])
                });
                self.tokens = &self.tokens[query?..];
                operations = self.query(source)?;
                copied = copies::read(self.names, source)
                    .filter(|_| !spares_some)
                    .map(|copy| copy.into(table.clone()));
            }
        }
        // It may take the place of a row that is there.
        let change = if it.replace_into || it.on.is_some() || it.or.is_some() {
            RowChange::Some
        } else {
            RowChange::Insert
        };
        operations.push(rows(change, table, columns, conditional));
        operations.extend(copied);
        Some(operations)
    }

    fn update(&mut self, it: &Update) -> Option<Vec<Operation>> {
        let TableFactor::Table { name, .. } = &it.table.relation else {
            return None;
        };
        let table = self.names.table(name)?;
        let mut columns = Vec::new();
        for assignment in &it.assignments {
            if !it.table.joins.is_empty() && is_qualified(&assignment.target) {
                // Which of the joined tables it is would have to be resolved first.
                return None;
            }
            columns.extend(self.assigned(&assignment.target)?);
        }
        let joined = it.table.joins.iter().map(|join| &join.relation);
        let operations = self.read_tables(joined);
        let conditional = it.selection.is_some()
            || it.from.is_some()
            || it.limit.is_some()
            || !it.table.joins.is_empty();
        let update = rows(RowChange::Update, table, columns, conditional);
        Some(operations.into_iter().chain([update]).collect())
    }

    fn delete(&mut self, it: &Delete) -> Option<Vec<Operation>> {
        let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &it.from;
        let joined = from.iter().any(|table| !table.joins.is_empty()) || from.len() > 1;
        let conditional =
            it.selection.is_some() || it.using.is_some() || it.limit.is_some() || joined;
        let changed: Vec<TableName> = if it.tables.is_empty() {
            from.iter()
                .map(|table| self.factor(&table.relation))
                .collect::<Option<_>>()?
        } else {
            let named = it.tables.iter().map(|name| self.names.table(name));
            let named: Vec<TableName> = named.collect::<Option<_>>()?;
            // They may be aliases.
            named
                .into_iter()
                .map(|name| aliased(self.names, &name, from).unwrap_or(name))
                .collect()
        };
        let used = it.using.iter().flatten().map(|table| &table.relation);
        let mut operations = self.read_tables(used);
        operations.extend(
            changed
                .into_iter()
                .map(|table| rows(RowChange::Delete, table, Vec::new(), conditional)),
        );
        Some(operations)
    }

    fn assigned(&self, target: &AssignmentTarget) -> Option<Vec<String>> {
        let one = |name: &ObjectName| self.names.table(name).map(|name| name.name);
        match target {
            AssignmentTarget::ColumnName(name) => Some(vec![one(name)?]),
            AssignmentTarget::Tuple(names) => names.iter().map(one).collect(),
        }
    }

    /// A query reads, unless something in it is called that may do more.
    fn query(&mut self, query: &Query) -> Option<Vec<Operation>> {
        let inner = match query.body.as_ref() {
            SetExpr::Insert(inner)
            | SetExpr::Update(inner)
            | SetExpr::Delete(inner)
            | SetExpr::Merge(inner) => Some(inner),
            _ => None,
        };
        if let Some(inner) = inner {
            let tables = query.with.as_ref().map(|with| with.cte_tables.as_slice());
            let reads = |query: &Query| {
                matches!(
                    query.body.as_ref(),
                    SetExpr::Select(_) | SetExpr::SetOperation { .. } | SetExpr::Values(_)
                )
            };
            if !tables
                .unwrap_or_default()
                .iter()
                .all(|table| reads(&table.query))
            {
                return None;
            }
            return self.operations(inner);
        }
        if self.may_do_more() {
            return None;
        }
        let SetExpr::Select(select) = query.body.as_ref() else {
            return Some(vec![Operation::ReadRows {
                table: None,
                columns: Vec::new(),
            }]);
        };
        if let Some(into) = &select.into {
            return self.select_into(query, into);
        }
        let hidden: Vec<String> = query
            .with
            .iter()
            .flat_map(|with| &with.cte_tables)
            .map(|table| self.names.name(&table.alias.name))
            .collect();
        let mut operations: Vec<Operation> = select
            .from
            .iter()
            .flat_map(|table| {
                std::iter::once(&table.relation)
                    .chain(table.joins.iter().map(|join| &join.relation))
            })
            .filter_map(|factor| self.factor(factor))
            .filter(|table| table.schema.is_some() || !hidden.contains(&table.name))
            .map(|table| Operation::ReadRows {
                table: Some(table),
                columns: Vec::new(),
            })
            .collect();
        if let [Operation::ReadRows { columns, .. }] = operations.as_mut_slice()
            && let [table] = select.from.as_slice()
            && table.joins.is_empty()
        {
            *columns = self.selected(select);
        }
        if operations.is_empty() && !select.from.is_empty() {
            operations.push(Operation::ReadRows {
                table: None,
                columns: Vec::new(),
            });
        }
        Some(operations)
    }

    /// The columns that a query of one table names on their own.
    fn selected(&self, select: &Select) -> Vec<String> {
        let columns = select.projection.iter().filter_map(|item| match item {
            SelectItem::UnnamedExpr(Expr::Identifier(name))
            | SelectItem::ExprWithAlias {
                expr: Expr::Identifier(name),
                ..
            } => Some(name),
            _ => None,
        });
        // SQLite takes a quoted name that it does not know for text.
        columns
            .filter(|name| self.names.0 != Dialect::Sqlite || name.quote_style.is_none())
            .map(|name| self.names.name(name))
            .collect()
    }

    fn factor(&self, factor: &TableFactor) -> Option<TableName> {
        match factor {
            TableFactor::Table {
                name, args: None, ..
            } => self.names.table(name),
            _ => None,
        }
    }

    fn read_tables<'f>(
        &self,
        factors: impl IntoIterator<Item = &'f TableFactor>,
    ) -> Vec<Operation> {
        factors
            .into_iter()
            .filter_map(|factor| self.factor(factor))
            .map(|table| Operation::ReadRows {
                table: Some(table),
                columns: Vec::new(),
            })
            .collect()
    }

    /// Whether the statement calls a function that is not known to only compute, or changes
    /// something in a part of it.
    fn may_do_more(&self) -> bool {
        let word = |token: &Token| match token {
            Token::Word(word) => Some(word.value.to_lowercase()),
            _ => None,
        };
        let mut previous = String::new();
        for pair in self.tokens.windows(2) {
            let Some(first) = word(&pair[0]) else {
                previous.clear();
                continue;
            };
            let changes = ["insert", "delete", "merge"].contains(&first.as_str())
                || (first == "update" && !["for", "key"].contains(&previous.as_str()));
            let calls =
                pair[1] == Token::LParen && !COMPUTE.split_whitespace().any(|known| known == first);
            if (changes && previous != "on") || calls {
                return true;
            }
            previous = first;
        }
        false
    }
}

/// What may stand before a bracket in a query and changes nothing.
const COMPUTE: &str = "\
    abs all and any array array_agg array_length as avg between bool_and bool_or by cast ceil \
    char char_length coalesce concat concat_ws convert count cross current_database \
    current_schema current_setting current_user database date date_trunc decimal dense_rank \
    distinct else except exists extract filter first_value floor format from gen_random_uuid \
    greatest group_concat having hex if ifnull in information_schema instr intersect interval \
    join json_agg json_array_elements json_build_object json_extract json_object jsonb_agg \
    jsonb_array_elements jsonb_build_object jsonb_set jsonb_typeof lag last_value lateral lead \
    least left length like limit lower ltrim materialized max md5 min not now nullif numeric \
    octet_length on or over partition pg_get_constraintdef pg_get_serial_sequence \
    pg_relation_size pg_table_size pg_total_relation_size position quote_ident random rank \
    regexp_replace repeat replace right round row row_number rtrim select some split_part \
    string_agg strpos substr substring sum then to_char to_date to_json to_jsonb to_regclass \
    to_timestamp trim trunc typeof union unnest upper using uuid_generate_v4 values varchar \
    version when where with";

fn is_qualified(target: &AssignmentTarget) -> bool {
    match target {
        AssignmentTarget::ColumnName(name) => name.0.len() > 1,
        AssignmentTarget::Tuple(names) => names.iter().any(|name| name.0.len() > 1),
    }
}

/// The table behind an alias; `None` where there is no such alias.
fn aliased(names: Names, alias: &TableName, from: &[TableWithJoins]) -> Option<TableName> {
    from.iter()
        .flat_map(|table| {
            std::iter::once(&table.relation).chain(table.joins.iter().map(|join| &join.relation))
        })
        .find_map(|factor| match factor {
            TableFactor::Table {
                name,
                alias: Some(known),
                ..
            } if names.name(&known.name) == alias.name => names.table(name),
            _ => None,
        })
}

fn rows(change: RowChange, table: TableName, columns: Vec<String>, conditional: bool) -> Operation {
    Operation::ChangeRows {
        change,
        table: Some(table),
        columns,
        conditional,
        sql: None,
    }
}

fn rights(loosens: bool) -> Operation {
    Operation::ChangeRights {
        loosens,
        table: None,
        sql: String::new(),
    }
}
