//! Statements that change or read rows.

use sqlparser::ast::{
    AssignmentTarget, Delete, Expr, FromTable, Insert, ObjectName, Query, Select, SelectItem,
    SetExpr, TableFactor, TableObject, TableWithJoins, Update, Value,
};

use super::copies;
use super::operations::{Names, TreeReader};
use super::tokens::Kind;
use rollback_core::dialect::Dialect;
use rollback_core::operation::{Operation, RowChange, TableName};

impl TreeReader<'_> {
    pub(super) fn insert(&mut self, it: &Insert) -> Option<Vec<Operation>> {
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
                self.goes_to_query()?;
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

    pub(super) fn update(&mut self, it: &Update) -> Option<Vec<Operation>> {
        let TableFactor::Table { name, .. } = &it.table.relation else {
            return None;
        };
        let table = self.names.table(name)?;
        let (mut columns, mut nulls) = (Vec::new(), Vec::new());
        for assignment in &it.assignments {
            if !it.table.joins.is_empty() && is_qualified(&assignment.target) {
                // Which of the joined tables it is would have to be resolved first.
                return None;
            }
            let assigned = self.assigned(&assignment.target)?;
            if is_null(&assignment.value) {
                nulls.extend(assigned.iter().cloned());
            }
            columns.extend(assigned);
        }
        let joined = it.table.joins.iter().map(|join| &join.relation);
        let operations = self.read_tables(joined);
        let conditional = it.selection.is_some()
            || it.from.is_some()
            || it.limit.is_some()
            || !it.table.joins.is_empty();
        let mut update = rows(RowChange::Update, table, columns, conditional);
        if let Operation::ChangeRows { nulls: set, .. } = &mut update {
            *set = nulls;
        }
        Some(operations.into_iter().chain([update]).collect())
    }

    pub(super) fn delete(&mut self, it: &Delete) -> Option<Vec<Operation>> {
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
    pub(super) fn query(&mut self, query: &Query) -> Option<Vec<Operation>> {
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

    pub(super) fn factor(&self, factor: &TableFactor) -> Option<TableName> {
        match factor {
            TableFactor::Table {
                name, args: None, ..
            } => self.names.table(name),
            _ => None,
        }
    }

    pub(super) fn read_tables<'f>(
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

    /// Leaves out what stands before the query of a statement. A column may be named there as a function is called.
    pub(super) fn goes_to_query(&mut self) -> Option<()> {
        let mut here = self.tokens;
        while !here.says("SELECT") && !here.says("WITH") {
            here.token()?;
            here.skip();
        }
        self.tokens = here;
        Some(())
    }

    /// Whether the statement calls a function that is not known to only compute, or changes
    /// something in a part of it.
    fn may_do_more(&self) -> bool {
        let mut previous = String::new();
        let mut here = self.tokens;
        while let Some(token) = here.token() {
            here.skip();
            if !matches!(token.kind, Kind::Word | Kind::Name) {
                previous.clear();
                continue;
            }
            let word = token.inside().to_lowercase();
            let changes = ["insert", "delete", "merge"].contains(&word.as_str())
                || (word == "update" && !["for", "key"].contains(&previous.as_str()));
            let calls = here.says("(") && !COMPUTE.split_whitespace().any(|known| known == word);
            if (changes && previous != "on") || calls {
                return true;
            }
            previous = word;
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

fn is_null(value: &Expr) -> bool {
    matches!(value, Expr::Value(value) if value.value == Value::Null)
}

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

pub(super) fn rows(
    change: RowChange,
    table: TableName,
    columns: Vec<String>,
    conditional: bool,
) -> Operation {
    Operation::ChangeRows {
        change,
        table: Some(table),
        columns,
        conditional,
        nulls: Vec::new(),
        sql: None,
    }
}
