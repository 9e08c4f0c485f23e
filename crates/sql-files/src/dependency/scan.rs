//! One statement, gone over: what it uses is noted, then what it makes and takes away.

use std::collections::{BTreeMap, BTreeSet};

use sqlparser::keywords::ALL_KEYWORDS;

use super::apply::{apply, key};
use super::object_index::{Key, ObjectClass, ObjectIndex};
use rollback_core::dialect::Dialect;
pub(super) use rollback_sql::sql_statement::{self, Action, Create, Object, SqlStatement};
use rollback_sql::tokens::{Kind, Token};
use rollback_sql::words::{self, Name, Reader, Sql};

/// Goes over a statement of the migration at a position.
pub(super) fn follow(world: &mut ObjectIndex, by: usize, sql: &Sql) {
    let act = sql_statement::read(sql);
    let mut scan = Scan {
        world,
        by,
        tables: Vec::new(),
        aliases: BTreeMap::new(),
        types: BTreeSet::new(),
        hidden: named_queries(sql),
        columns: BTreeSet::new(),
        literals: Vec::new(),
        all_columns: false,
    };
    scan.head(&act);
    let how = How {
        of: &act,
        bodies: !matches!(
            act,
            SqlStatement::Rows { .. } | SqlStatement::Comment { .. }
        ),
        depth: 0,
    };
    scan.tokens(sql, &how);
    scan.belongings(&act);
    let types = std::mem::take(&mut scan.types);
    apply(world, by, &act, types);
}

/// How deep texts of SQL in texts of SQL are looked into.
const DEEPEST: usize = 3;

struct How<'a> {
    of: &'a SqlStatement<'a>,
    /// Whether texts in quotes may be SQL.
    bodies: bool,
    depth: usize,
}

pub(super) struct Scan<'w> {
    pub(super) world: &'w mut ObjectIndex,
    pub(super) by: usize,
    /// The tables that are used.
    tables: Vec<String>,
    /// What they are called in the statement.
    pub(super) aliases: BTreeMap<String, String>,
    /// The types that are used.
    types: BTreeSet<String>,
    /// Queries that are named in the statement.
    hidden: BTreeSet<String>,
    /// Names that may be columns, with what stands before them.
    columns: BTreeSet<(Option<String>, String)>,
    literals: Vec<String>,
    /// A query of all columns.
    all_columns: bool,
}

/// `WITH recent AS (...)`.
fn named_queries(sql: &Sql) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for at in 0..sql.reader().end {
        let mut reader = Reader { at, ..sql.reader() };
        if !["WITH", "RECURSIVE", ","]
            .iter()
            .any(|word| sql.follows(at, word))
        {
            continue;
        }
        let Some(name) = reader.part() else { continue };
        reader.group();
        if reader.eats("AS") {
            reader.eats_any(&["NOT MATERIALIZED", "MATERIALIZED"]);
            if reader.says("(") {
                found.insert(name.folded);
            }
        }
    }
    found
}

impl Scan<'_> {
    pub(super) fn relation(&mut self, name: &Name) -> bool {
        self.relation_key(&name.key())
    }

    pub(super) fn relation_key(&mut self, key: &str) -> bool {
        let known = self
            .world
            .uses(self.by, &Key::new(ObjectClass::Relation, key));
        if known && !self.tables.iter().any(|one| one == key) {
            self.tables.push(key.to_owned());
        }
        known
    }

    fn routine(&mut self, key: &str) -> bool {
        self.world
            .uses(self.by, &Key::new(ObjectClass::Routine, key))
            || self.of_extension(key)
    }

    fn type_key(&mut self, key: &str) -> bool {
        let known = self.world.uses(self.by, &Key::new(ObjectClass::Type, key));
        if known {
            self.types.insert(key.to_owned());
        }
        known || self.of_extension(key)
    }

    pub(super) fn schema(&mut self, name: &str) -> bool {
        let key = Key::new(ObjectClass::Of(Object::Schema), name);
        self.world.uses(self.by, &key)
    }

    /// What is known to come with an extension.
    fn of_extension(&mut self, key: &str) -> bool {
        let name = key.rsplit('.').next().unwrap_or(key);
        let Some((extension, _)) = EXTENSIONS.iter().find(|(_, members)| {
            members.split(' ').any(|member| {
                member == name
                    || member
                        .strip_suffix('*')
                        .is_some_and(|start| name.starts_with(start))
            })
        }) else {
            return false;
        };
        let key = Key::new(ObjectClass::Of(Object::Extension), extension);
        self.world.uses(self.by, &key)
    }

    /// An object by its kind and name.
    pub(super) fn object(&mut self, kind: Object, name: &Name, on: Option<&Name>) -> bool {
        match ObjectClass::of(kind) {
            ObjectClass::Relation => {
                if let (Dialect::MySql, Object::Index, Some(on)) = (self.world.dialect, kind, on) {
                    self.relation(on);
                    let key = Key::within(&on.key(), kind, &name.key());
                    return self.world.uses(self.by, &key);
                }
                self.relation(name)
            }
            ObjectClass::Routine => self.routine(&name.key()),
            ObjectClass::Type => self.type_key(&name.key()) || self.relation(name),
            class @ ObjectClass::Of(_) => {
                let key = self.key(kind, class, name, on);
                self.world.uses(self.by, &key)
            }
        }
    }

    pub(super) fn key(
        &self,
        kind: Object,
        class: ObjectClass,
        name: &Name,
        on: Option<&Name>,
    ) -> Key {
        key(self.world.dialect, kind, class, name, on)
    }

    /// Goes over the tokens and takes names by where they stand.
    fn tokens(&mut self, sql: &Sql, how: &How<'_>) {
        // Whether a table may come next, and whether one may come after a comma, by the brackets.
        let mut expects = false;
        let mut lists = vec![false];
        let mut at = match how.of {
            // It is not called where it is made.
            SqlStatement::Create(made) if made.kind.has_arguments() && how.depth == 0 => {
                made.rest.at
            }
            _ => 0,
        };
        while let Some(token) = sql.token(at) {
            let here = Reader { at, ..sql.reader() };
            match (token.kind, token.text) {
                (Kind::Symbol, "(") => {
                    lists.push(false);
                    if expects
                        && ["SELECT", "WITH", "VALUES", "TABLE"]
                            .iter()
                            .any(|word| Reader { at: at + 1, ..here }.says(word))
                    {
                        expects = false;
                    } else if expects && let Some(last) = lists.last_mut() {
                        *last = true;
                    }
                }
                (Kind::Symbol, ")") => {
                    if lists.len() > 1 {
                        lists.pop();
                    }
                    expects = false;
                }
                (Kind::Symbol, ",") => expects = lists.last().copied().unwrap_or_default(),
                (Kind::Symbol, ";") => {
                    lists = vec![false];
                    expects = false;
                }
                // `@total` is a variable.
                (Kind::Word, _) if sql.follows(at, "@") => expects = false,
                (Kind::Word | Kind::Name, _) => {
                    if let Some(next) = introduces(sql, at, expects, &mut lists) {
                        expects = next;
                    } else {
                        at = self.named(here, expects, how);
                        expects = false;
                        continue;
                    }
                }
                (Kind::Symbol, "*") => self.star(sql, at, how),
                (Kind::Text, text) if text.starts_with('$') => {
                    if how.bodies && how.depth < DEEPEST {
                        self.body(token.inside(), how);
                    }
                }
                (Kind::Text, _) => self.literal(here, token, how),
                _ => expects = false,
            }
            at += 1;
        }
    }

    /// A name, in the position of a table or not. Says where to go on.
    fn named(&mut self, here: Reader<'_>, expects: bool, how: &How<'_>) -> usize {
        let mut reader = here;
        let Some(name) = reader.name() else {
            return here.at + 1;
        };
        let key = name.key();
        let calls = reader.says("(");
        let plain = name.parts.len() == 1;
        if expects && !(plain && self.hidden.contains(&key)) {
            let into = here.sql.follows(here.at, "INTO") || here.sql.follows(here.at, "REFERENCES");
            if self.relation(&name) {
                self.refers(&name, reader, here);
                self.alias(&key, &name, reader);
                return reader.at;
            }
            if calls && !into {
                self.routine(&key);
                return reader.at;
            }
        }
        if reader.says("%") {
            // `projects.name%TYPE`, `projects%ROWTYPE`.
            if !self.relation(&name)
                && let Some((table, column)) = table_and_column(&name)
            {
                self.relation_key(&table);
                self.columns.insert((Some(table), column));
            }
            return reader.at;
        }
        if calls && self.routine(&key) {
            return reader.at;
        }
        if plain {
            if Self::is_type_position(here, how) && !calls {
                let _ = self.type_key(&key) || self.row_type(here, &name, how);
            } else if Self::is_bare(here, how) {
                self.routine(&key);
            } else if Self::is_role_position(how) {
                self.object(Object::Role, &name, None);
            }
            self.columns.insert((None, key));
        } else {
            self.qualified(&name, &key);
        }
        reader.at
    }

    /// A name with a schema, or a column of a table.
    fn qualified(&mut self, name: &Name, key: &str) {
        if self.relation(name) || self.type_key(key) {
            return;
        }
        if let Some((table, column)) = table_and_column(name) {
            self.columns.insert((Some(table.clone()), column));
            if name.parts.len() > 2 && self.relation_key(&table) {
                return;
            }
            if !self.tables.contains(&table) && !self.aliases.contains_key(&table) {
                self.schema(&table);
            }
        }
    }

    /// A table that is a type: `RETURNS SETOF projects`.
    fn row_type(&mut self, here: Reader<'_>, name: &Name, how: &How<'_>) -> bool {
        let returned = ["RETURNS", "SETOF", "::"]
            .iter()
            .any(|word| here.sql.follows(here.at, word));
        let of_a_routine =
            matches!(how.of, SqlStatement::Create(made) if made.kind.has_arguments());
        (returned || of_a_routine) && self.relation(name)
    }

    /// Columns that a foreign key refers to have to be unique: who made them so is needed.
    fn refers(&mut self, name: &Name, mut after: Reader<'_>, here: Reader<'_>) {
        if !here.sql.follows(here.at, "REFERENCES") {
            return;
        }
        let Some(inside) = after.group() else { return };
        let columns: Vec<String> = inside
            .list()
            .into_iter()
            .filter_map(|mut one| one.part().map(|part| part.folded))
            .collect();
        for key in self.world.unique(&name.key(), &columns) {
            self.world.uses(self.by, &key);
        }
    }

    fn alias(&mut self, key: &str, name: &Name, mut after: Reader<'_>) {
        let last = name.last().folded.clone();
        self.aliases.insert(last, key.to_owned());
        after.eats("AS");
        let is_name = after.token().is_some_and(|token| {
            is_name(token) || token.kind == Kind::Word && token.text.len() <= 2
        });
        if is_name && let Some(alias) = after.part() {
            self.aliases.insert(alias.folded, key.to_owned());
        }
    }

    fn is_type_position(here: Reader<'_>, how: &How<'_>) -> bool {
        let Some(before) = here.at.checked_sub(1).and_then(|at| here.sql.token(at)) else {
            return false;
        };
        match (before.kind, before.text) {
            (Kind::Symbol, "::") => true,
            (Kind::Word | Kind::Name, word) => {
                is_name(before)
                    || [
                        "AS", "IN", "INOUT", "OUT", "RETURNS", "SETOF", "TYPE", "VARIADIC",
                    ]
                    .iter()
                    .any(|known| word.eq_ignore_ascii_case(known))
                    || Self::is_second_of_a_definition(here, how)
            }
            (Kind::Symbol, "(" | ",") => {
                matches!(
                    how.of,
                    SqlStatement::Create(Create {
                        kind: Object::Function
                            | Object::Procedure
                            | Object::Aggregate
                            | Object::Type,
                        ..
                    }) | SqlStatement::Drop { .. }
                ) && how.depth == 0
            }
            _ => false,
        }
    }

    /// `status project_status`: the name of a column may be a word of SQL.
    fn is_second_of_a_definition(here: Reader<'_>, how: &How<'_>) -> bool {
        let defines = match how.of {
            SqlStatement::Create(made) => {
                !matches!(made.kind, Object::View | Object::MaterializedView)
            }
            SqlStatement::Alter { .. } => true,
            _ => false,
        };
        defines
            && here.at >= 2
            && ["(", ",", "ADD", "COLUMN", "EXISTS", "DECLARE"]
                .iter()
                .any(|word| here.sql.follows(here.at - 1, word))
    }

    /// Routines are named without brackets where an aggregate or a type is made of them.
    fn is_bare(here: Reader<'_>, how: &How<'_>) -> bool {
        let made_of = matches!(
            how.of,
            SqlStatement::Create(Create {
                kind: Object::Aggregate | Object::Type,
                ..
            })
        );
        made_of && here.sql.follows(here.at, "=")
    }

    fn is_role_position(how: &How<'_>) -> bool {
        match how.of {
            SqlStatement::Create(made) => matches!(made.kind, Object::Policy | Object::Schema),
            SqlStatement::Alter { kind, actions, .. } => {
                *kind == Object::Policy || actions.iter().any(|one| matches!(one, Action::Owner))
            }
            _ => false,
        }
    }

    /// A view of all columns needs each of them.
    fn star(&mut self, sql: &Sql, at: usize, how: &How<'_>) {
        let makes_a_view = matches!(
            how.of,
            SqlStatement::Create(Create {
                kind: Object::View | Object::MaterializedView,
                ..
            })
        );
        let starts = [".", ",", "SELECT", "DISTINCT", "ALL"]
            .iter()
            .any(|word| sql.follows(at, word));
        self.all_columns |= makes_a_view && starts;
    }

    fn literal(&mut self, here: Reader<'_>, token: Token<'_>, how: &How<'_>) {
        let text = token.inside();
        self.literals.push(token.text.to_owned());
        let mut after = here;
        after.skip();
        let typed = after.eats("::");
        let before = |words: &str| {
            let count = words.split(' ').count();
            here.at >= count
                && Reader {
                    at: here.at - count,
                    ..here
                }
                .says(words)
        };
        let named = (typed && after.word().is_some_and(|word| word.starts_with("REG")))
            || here.at > 1
                && here.sql.follows(here.at, "(")
                && here.sql.follows(here.at - 1, "NEXTVAL");
        let is_sql = how.bodies
            && how.depth < DEEPEST
            && (before("AS")
                || before("EXECUTE")
                || matches!(how.of, SqlStatement::Other)
                    && text.trim().contains(char::is_whitespace));
        if named {
            let inner = Sql::new(text, self.world.dialect);
            if let Some(name) = inner.reader().name() {
                let _ =
                    self.relation(&name) || self.routine(&name.key()) || self.type_key(&name.key());
            }
        } else if is_sql {
            self.body(&text.replace("''", "'"), how);
        }
    }

    /// A text of SQL in a text of SQL.
    fn body(&mut self, text: &str, how: &How<'_>) {
        let inner = Sql::new(text, self.world.dialect);
        self.hidden.extend(named_queries(&inner));
        let deeper = How {
            depth: how.depth + 1,
            ..*how
        };
        self.tokens(&inner, &deeper);
    }

    /// Columns, and values of enums, once it is known which tables and types there are.
    fn belongings(&mut self, act: &SqlStatement<'_>) {
        // Giving a table another column does not use the others.
        let tables = self.tables.clone();
        for table in &tables {
            for key in self.world.columns(table) {
                let used = self.all_columns
                    || self.columns.iter().any(|(of, name)| {
                        *name == key.name
                            && of
                                .as_ref()
                                .is_none_or(|of| of == table || self.aliases.get(of) == Some(table))
                    });
                if used {
                    self.world.uses(self.by, &key);
                }
            }
        }
        if matches!(act, SqlStatement::Comment { .. }) {
            return;
        }
        for literal in std::mem::take(&mut self.literals) {
            for key in self.world.values(&literal) {
                let Some(of) = key.of.clone() else { continue };
                let used = self.types.contains(&of)
                    || tables.iter().any(|table| self.world.has_type(table, &of));
                if used {
                    self.world.uses(self.by, &key);
                }
            }
        }
    }
}

/// Whether it can be nothing else than a name.
fn is_name(token: Token<'_>) -> bool {
    let is_keyword = |word: &str| {
        ALL_KEYWORDS
            .binary_search(&word.to_uppercase().as_str())
            .is_ok()
    };
    match token.kind {
        Kind::Name => true,
        Kind::Word => !is_keyword(token.text),
        _ => false,
    }
}

/// Whether a table comes next; `None` where the word is none that tells.
fn introduces(sql: &Sql, at: usize, expects: bool, lists: &mut [bool]) -> Option<bool> {
    let here = Reader { at, ..sql.reader() };
    let word = here.word()?;
    if sql.follows(at, ".") {
        return None;
    }
    let list = lists.last_mut()?;
    match word.as_str() {
        "FROM" if sql.follows(at, "DISTINCT") => Some(false),
        "FROM" | "USING" | "TRUNCATE" | "INHERITS" => {
            *list = true;
            Some(true)
        }
        "JOIN" | "INTO" | "REFERENCES" | "UPDATE" | "ONLY" | "LATERAL" | "TABLE" | "VIEW"
        | "SEQUENCE" | "LIKE" | "COPY" | "OF" => Some(true),
        // As in `DROP TABLE IF EXISTS`.
        "IF" | "EXISTS" | "NOT" | "CONCURRENTLY" => Some(expects),
        "WHERE" | "ON" | "SET" | "GROUP" | "ORDER" | "LIMIT" | "SELECT" | "UNION" | "RETURNING"
        | "VALUES" | "HAVING" | "WINDOW" | "LOOP" | "THEN" | "BEGIN" | "AS" | "IS" | "AND"
        | "OR" | "CASE" | "WHEN" | "ELSE" | "END" | "IN" => {
            if word != "AS" {
                *list = false;
            }
            Some(false)
        }
        _ => None,
    }
}

/// The table and the column of a name with at least two parts.
pub(super) fn table_and_column(name: &Name) -> Option<(String, String)> {
    let (column, table) = name.parts.split_last()?;
    if table.is_empty() {
        return None;
    }
    let table = words::key(table.iter().map(|part| part.folded.as_str()));
    Some((table, column.folded.clone()))
}

/// Some of what comes with extensions that are much used. What a server has without them is left out.
const EXTENSIONS: &[(&str, &str)] = &[
    ("citext", "citext"),
    ("hstore", "hstore"),
    ("ltree", "ltree lquery ltxtquery"),
    ("pg_net", "http_get http_post http_delete"),
    (
        "pg_trgm",
        "gin_trgm_ops gist_trgm_ops similarity word_similarity show_trgm",
    ),
    (
        "pgcrypto",
        "crypt gen_salt gen_random_bytes digest hmac pgp_sym_encrypt pgp_sym_decrypt armor dearmor",
    ),
    ("pgjwt", "url_encode url_decode"),
    ("postgis", "geometry geography st_* box2d box3d"),
    ("unaccent", "unaccent"),
    (
        "uuid-ossp",
        "uuid_generate_v1 uuid_generate_v1mc uuid_generate_v3 uuid_generate_v4 uuid_generate_v5 uuid_nil",
    ),
    (
        "vector",
        "vector halfvec sparsevec vector_l2_ops vector_ip_ops vector_cosine_ops",
    ),
];
