//! The types of columns by the names that servers print and people write.
//!
//! Read word by word and not with a parser of SQL: a server prints names that no grammar has, and a
//! type that is not known is still a type.

use super::tokens::{Kind, Token, Tokens};
use rollback_core::dialect::Dialect;
use rollback_core::operation::{ColumnType, Family, TableName};

/// Reads the name of a type: `character varying(100)`, `int(11) unsigned`, `enum('a','b')`.
///
/// On PostgreSQL a name that is none of the server's own is `Other` with that name as `enum_name`:
/// whether it is an enum is for the schema model to say. An array is `Array` with all else that its
/// elements have.
pub fn read_type(text: &str, dialect: Dialect) -> ColumnType {
    let parts = Parts::of(text, dialect);
    let mut kind = ColumnType {
        family: Family::Other,
        length: None,
        precision: None,
        scale: None,
        timezone: false,
        enum_name: None,
        values: Vec::new(),
        written: text.split_whitespace().collect::<Vec<_>>().join(" "),
    };
    describe(&mut kind, &parts, dialect);
    if parts.array {
        kind.family = Family::Array;
    }
    kind
}

/// A type taken apart.
#[derive(Debug, Default)]
struct Parts {
    /// The words before the brackets in lower case, single spaces between them.
    name: String,
    /// The name as written, in its pieces between points, with quotes taken off.
    path: Vec<String>,
    /// Whether a piece of the name is quoted: then it is no word of SQL.
    quoted: bool,
    /// What stands in the brackets: numbers, or words without their quotes.
    arguments: Vec<String>,
    /// The words after the brackets in lower case.
    rest: String,
    /// Whether it is an array of that.
    array: bool,
}

impl Parts {
    fn of(text: &str, dialect: Dialect) -> Self {
        let mut parts = Self::default();
        let mut words: Vec<String> = Vec::new();
        let mut after: Vec<String> = Vec::new();
        let (mut bracketed, mut inside, mut glued) = (false, false, false);
        let mut argument = String::new();
        let code = Tokens::new(text, dialect).map_while(Result::ok);
        let mut code = code.filter(Token::is_code);
        while let Some(token) = code.next() {
            match (token.kind, token.text) {
                (Kind::Symbol, mark @ ("," | ")")) if inside => {
                    if !argument.is_empty() {
                        parts.arguments.push(std::mem::take(&mut argument));
                    }
                    inside = mark == ",";
                }
                (Kind::Text, text) if inside => {
                    parts.arguments.push(unquoted(text, dialect));
                }
                (_, text) if inside => argument.push_str(text),
                (Kind::Symbol, "(") if !bracketed => (bracketed, inside) = (true, true),
                (Kind::Symbol, "[") => {
                    parts.array = true;
                    let _ = code.find(|token| token.is("]"));
                }
                (Kind::Name, _) if !bracketed => {
                    let quote = &token.text[..1];
                    parts.quoted = true;
                    parts.piece(token.inside().replace(&quote.repeat(2), quote), glued);
                }
                (Kind::Word, word) if word.eq_ignore_ascii_case("array") && !words.is_empty() => {
                    parts.array = true;
                }
                (Kind::Word | Kind::Number, word) if bracketed => after.push(word.to_lowercase()),
                (Kind::Word | Kind::Number, word) => {
                    words.push(word.to_lowercase());
                    parts.piece(word.to_owned(), glued);
                }
                _ => {}
            }
            glued = token.is(".");
        }
        parts.name = words.join(" ");
        parts.rest = after.join(" ");
        parts
    }

    fn piece(&mut self, piece: String, glued: bool) {
        if self.path.is_empty() || glued {
            self.path.push(piece);
        }
    }

    fn number<N: std::str::FromStr>(&self, index: usize) -> Option<N> {
        self.arguments.get(index)?.parse().ok()
    }

    fn says(&self, word: &str) -> bool {
        [&self.name, &self.rest]
            .into_iter()
            .any(|words| words.split(' ').any(|one| one == word))
    }

    /// `with time zone` stands after the brackets where there are some.
    fn has_timezone(&self) -> bool {
        [&self.name, &self.rest]
            .into_iter()
            .any(|words| words.contains("with time zone"))
    }
}

/// A text without its quotes.
fn unquoted(text: &str, dialect: Dialect) -> String {
    let quote = text.chars().next();
    let inside = &text[1..text.len() - 1];
    let mut content = String::new();
    let mut letters = inside.chars();
    while let Some(letter) = letters.next() {
        let escapes = Some(letter) == quote || letter == '\\' && dialect == Dialect::MySql;
        content.extend(if escapes {
            letters.next()
        } else {
            Some(letter)
        });
    }
    content
}

fn describe(kind: &mut ColumnType, parts: &Parts, dialect: Dialect) {
    let qualifier = (parts.path.len() > 1).then(|| parts.path[0].to_lowercase());
    let own = !parts.quoted && qualifier.as_deref().is_none_or(|one| one == "pg_catalog");
    let name = match &qualifier {
        Some(_) => parts
            .name
            .split_once(' ')
            .map_or(parts.name.as_str(), |(_, name)| name),
        None => parts.name.as_str(),
    };
    if own && (number(kind, parts, name, dialect) || other(kind, parts, name, dialect)) {
        return;
    }
    match dialect {
        Dialect::Postgres => {
            let mut path = parts.path.iter().rev();
            kind.enum_name = path.next().map(|name| TableName {
                schema: path.next().map(|schema| folded(schema, parts)),
                name: folded(name, parts),
            });
        }
        Dialect::Sqlite => affinity(kind, &parts.name),
        Dialect::MySql => {}
    }
}

/// The server folds what is not quoted. A name with one quoted piece is printed by the server, which
/// quotes all that needs it.
fn folded(name: &str, parts: &Parts) -> String {
    if parts.quoted {
        name.to_owned()
    } else {
        name.to_lowercase()
    }
}

/// The numbers. An unsigned one counts as the next family that holds it.
fn number(kind: &mut ColumnType, parts: &Parts, name: &str, dialect: Dialect) -> bool {
    let first = name.split(' ').next().unwrap_or_default();
    let unsigned = parts.says("unsigned") || parts.says("zerofill");
    kind.family = match first {
        "tinyint" if dialect == Dialect::MySql && parts.number(0) == Some(1_u32) && !unsigned => {
            Family::Boolean
        }
        "bool" | "boolean" => Family::Boolean,
        "smallint" | "int2" if unsigned => Family::Integer,
        "tinyint" | "int1" | "smallint" | "int2" | "smallserial" | "serial2" => {
            Family::SmallInteger
        }
        "int" | "integer" | "int4" if unsigned => Family::BigInteger,
        // MariaDB's SERIAL is a BIGINT.
        "serial" if dialect == Dialect::MySql => Family::BigInteger,
        "mediumint" | "int3" | "middleint" | "int" | "integer" | "int4" | "serial" | "serial4" => {
            Family::Integer
        }
        "bigint" | "int8" if unsigned => {
            kind.precision = Some(20);
            kind.scale = Some(0);
            Family::Numeric
        }
        "bigint" | "int8" | "bigserial" | "serial8" => Family::BigInteger,
        "numeric" | "decimal" | "dec" | "fixed" => {
            kind.precision = parts.number(0);
            kind.scale = parts.number(1).or(kind.precision.map(|_| 0));
            if dialect == Dialect::MySql {
                kind.precision = kind.precision.or(Some(10));
                kind.scale = kind.scale.or(Some(0));
            }
            Family::Numeric
        }
        "double" | "float8" => {
            kind.precision = Some(53);
            Family::Float
        }
        "real" | "float4" | "float" => {
            kind.precision = Some(single_or_double(first, parts, dialect));
            Family::Float
        }
        _ => return false,
    };
    true
}

/// The bits of a float's digits.
fn single_or_double(name: &str, parts: &Parts, dialect: Dialect) -> u32 {
    let digits: Option<u32> = match parts.arguments.len() {
        1 => parts.number(0),
        _ => None,
    };
    let single = match (dialect, name) {
        (Dialect::Sqlite, _) | (Dialect::MySql, "real") => false,
        (Dialect::Postgres, "float") => digits.is_some_and(|digits| digits <= 24),
        (Dialect::Postgres, _) => true,
        (Dialect::MySql, _) => digits.is_none_or(|digits| digits <= 24),
    };
    if single { 24 } else { 53 }
}

/// All but the numbers.
fn other(kind: &mut ColumnType, parts: &Parts, name: &str, dialect: Dialect) -> bool {
    let mysql = dialect == Dialect::MySql;
    let length: Option<u64> = parts.number(0);
    let varying = parts.says("varying");
    let first = name.split(' ').next().unwrap_or_default();
    kind.family = match first {
        "varchar" | "varchar2" | "nvarchar" | "nvarchar2" => {
            kind.length = length;
            Family::String
        }
        "character" | "char" | "nchar" | "national" | "bpchar" | "native" => {
            let unlimited = varying || first == "bpchar" || name.contains("varchar");
            let one = (!unlimited && dialect != Dialect::Sqlite).then_some(1);
            kind.length = length.or(one);
            Family::String
        }
        "name" if dialect == Dialect::Postgres => {
            kind.length = Some(63);
            Family::String
        }
        "citext" | "clob" | "long" => Family::Text,
        "text" | "tinytext" | "mediumtext" | "longtext" => {
            kind.length = if mysql { large(first) } else { None };
            Family::Text
        }
        "bytea" => Family::Binary,
        "blob" | "tinyblob" | "mediumblob" | "longblob" => {
            kind.length = if mysql { large(first) } else { None };
            Family::Binary
        }
        "binary" | "varbinary" => {
            kind.length = length.or((mysql && first == "binary").then_some(1));
            Family::Binary
        }
        "date" => Family::Date,
        "time" | "timetz" => {
            kind.precision = parts.number(0);
            kind.timezone = first == "timetz" || parts.has_timezone();
            Family::Time
        }
        "timestamp" | "timestamptz" | "datetime" => {
            kind.precision = parts.number(0);
            kind.timezone = first == "timestamptz" || parts.has_timezone();
            Family::DateTime
        }
        "interval" => {
            kind.precision = parts.number(0);
            Family::Interval
        }
        "json" => Family::Json,
        "jsonb" => Family::Jsonb,
        "uuid" => Family::Uuid,
        "enum" => {
            kind.values.clone_from(&parts.arguments);
            Family::Enum
        }
        "bit" | "varbit" => {
            kind.length = length.or((first == "bit" && !varying).then_some(1));
            Family::Other
        }
        known if OTHERS.contains(&known) => {
            // Of a set, the words that it is made of.
            if first == "set" {
                kind.values.clone_from(&parts.arguments);
            }
            Family::Other
        }
        _ => return false,
    };
    true
}

/// Types of the servers and their common extensions that nothing here is known about.
const OTHERS: &[&str] = &[
    "box",
    "cidr",
    "circle",
    "cstring",
    "daterange",
    "geography",
    "geometry",
    "halfvec",
    "hstore",
    "inet",
    "inet4",
    "inet6",
    "int2vector",
    "int4range",
    "int8range",
    "line",
    "linestring",
    "lseg",
    "ltree",
    "macaddr",
    "macaddr8",
    "money",
    "multipolygon",
    "numrange",
    "oid",
    "oidvector",
    "path",
    "pg_lsn",
    "point",
    "polygon",
    "regclass",
    "regproc",
    "regtype",
    "set",
    "sparsevec",
    "tid",
    "tsquery",
    "tsrange",
    "tstzrange",
    "tsvector",
    "txid_snapshot",
    "vector",
    "xid",
    "xml",
    "year",
];

/// How many bytes the large types of MariaDB take; `None` for four gigabytes.
fn large(name: &str) -> Option<u64> {
    match name {
        "tinytext" | "tinyblob" => Some(255),
        "text" | "blob" => Some(65_535),
        "mediumtext" | "mediumblob" => Some(16_777_215),
        _ => None,
    }
}

/// What SQLite makes of a name that means nothing to it: <https://sqlite.org/datatype3.html>, 3.1.
fn affinity(kind: &mut ColumnType, name: &str) {
    let has = |part: &str| name.contains(part);
    kind.family = if has("int") {
        Family::Integer
    } else if has("char") || has("clob") || has("text") {
        Family::Text
    } else if has("blob") {
        Family::Binary
    } else if has("real") || has("floa") || has("doub") {
        kind.precision = Some(53);
        Family::Float
    } else {
        Family::Other
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use Dialect::{MySql, Postgres, Sqlite};

    /// `Family length precision scale timezone`, `-` for what is not said.
    fn read(text: &str, dialect: Dialect) -> String {
        let kind = read_type(text, dialect);
        let or_dash = |number: Option<String>| number.unwrap_or_else(|| "-".to_owned());
        format!(
            "{:?} {} {} {}{}",
            kind.family,
            or_dash(kind.length.map(|it| it.to_string())),
            or_dash(kind.precision.map(|it| it.to_string())),
            or_dash(kind.scale.map(|it| it.to_string())),
            if kind.timezone { " tz" } else { "" }
        )
    }

    #[test]
    fn names_that_postgresql_prints() {
        let cases = [
            ("character varying(100)", "String 100 - -"),
            ("character varying", "String - - -"),
            ("varchar(100)", "String 100 - -"),
            ("VARCHAR", "String - - -"),
            ("character(3)", "String 3 - -"),
            ("char", "String 1 - -"),
            ("bpchar", "String - - -"),
            ("\"char\"", "Other - - -"),
            ("text", "Text - - -"),
            ("integer", "Integer - - -"),
            ("int4", "Integer - - -"),
            ("smallint", "SmallInteger - - -"),
            ("bigint", "BigInteger - - -"),
            ("SERIAL", "Integer - - -"),
            ("bigserial", "BigInteger - - -"),
            ("numeric", "Numeric - - -"),
            ("numeric(10)", "Numeric - 10 0"),
            ("numeric(10,2)", "Numeric - 10 2"),
            ("NUMERIC(10, 2)", "Numeric - 10 2"),
            ("double precision", "Float - 53 -"),
            ("real", "Float - 24 -"),
            ("float(20)", "Float - 24 -"),
            ("float", "Float - 53 -"),
            ("boolean", "Boolean - - -"),
            ("timestamp without time zone", "DateTime - - -"),
            ("timestamp with time zone", "DateTime - - - tz"),
            ("timestamp(3) with time zone", "DateTime - 3 - tz"),
            ("timestamptz", "DateTime - - - tz"),
            ("time without time zone", "Time - - -"),
            ("time(6) with time zone", "Time - 6 - tz"),
            ("date", "Date - - -"),
            ("interval day to second(3)", "Interval - 3 -"),
            ("json", "Json - - -"),
            ("jsonb", "Jsonb - - -"),
            ("uuid", "Uuid - - -"),
            ("bytea", "Binary - - -"),
            ("integer[]", "Array - - -"),
            ("character varying(20)[]", "Array 20 - -"),
            ("integer[3][3]", "Array - - -"),
            ("integer ARRAY", "Array - - -"),
            ("bit varying(5)", "Other 5 - -"),
            ("inet", "Other - - -"),
            ("pg_catalog.int4", "Integer - - -"),
            ("", "Other - - -"),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text, Postgres), expected, "{text}");
        }
    }

    #[test]
    fn names_that_mariadb_prints() {
        let cases = [
            ("int(11)", "Integer - - -"),
            ("int(10) unsigned", "BigInteger - - -"),
            ("INT UNSIGNED", "BigInteger - - -"),
            ("tinyint(1)", "Boolean - - -"),
            ("tinyint(4)", "SmallInteger - - -"),
            ("tinyint", "SmallInteger - - -"),
            ("smallint(5) unsigned", "Integer - - -"),
            ("mediumint(9)", "Integer - - -"),
            ("bigint(20)", "BigInteger - - -"),
            ("bigint(20) unsigned", "Numeric - 20 0"),
            ("decimal(10,0)", "Numeric - 10 0"),
            ("decimal", "Numeric - 10 0"),
            ("float", "Float - 24 -"),
            ("double", "Float - 53 -"),
            ("varchar(255)", "String 255 - -"),
            ("char(2)", "String 2 - -"),
            ("text", "Text 65535 - -"),
            ("mediumtext", "Text 16777215 - -"),
            ("longtext", "Text - - -"),
            ("blob", "Binary 65535 - -"),
            ("varbinary(16)", "Binary 16 - -"),
            ("datetime", "DateTime - - -"),
            ("datetime(6)", "DateTime - 6 -"),
            ("timestamp", "DateTime - - -"),
            ("enum('a','b')", "Enum - - -"),
            ("set('a','b')", "Other - - -"),
            ("year(4)", "Other - - -"),
            ("json", "Json - - -"),
            ("uuid", "Uuid - - -"),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text, MySql), expected, "{text}");
        }
    }

    #[test]
    fn names_that_sqlite_keeps_as_they_were_written() {
        let cases = [
            ("VARCHAR(100)", "String 100 - -"),
            ("NVARCHAR(20)", "String 20 - -"),
            ("CHAR(32)", "String 32 - -"),
            ("INTEGER", "Integer - - -"),
            ("BIGINT", "BigInteger - - -"),
            ("UNSIGNED BIG INT", "Integer - - -"),
            ("NUMERIC(10, 2)", "Numeric - 10 2"),
            ("FLOAT", "Float - 53 -"),
            ("BOOLEAN", "Boolean - - -"),
            ("DATETIME", "DateTime - - -"),
            ("TIMESTAMP", "DateTime - - -"),
            ("JSON", "Json - - -"),
            ("LONGCHARACTERS", "Text - - -"),
            ("", "Other - - -"),
            ("mood", "Other - - -"),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text, Sqlite), expected, "{text}");
        }
    }

    #[test]
    fn the_words_of_an_enum() {
        let kind = read_type(r"enum('it''s','a,b','c)','d\\e')", MySql);
        assert_eq!(kind.values, ["it's", "a,b", "c)", r"d\e"]);
        assert_eq!(kind.written, r"enum('it''s','a,b','c)','d\\e')");
    }

    #[test]
    fn a_type_that_only_the_catalogue_knows() {
        let name = |text: &str| read_type(text, Postgres).enum_name;
        let named = |schema: Option<&str>, name: &str| {
            Some(TableName {
                schema: schema.map(str::to_owned),
                name: name.to_owned(),
            })
        };
        assert_eq!(name("mood"), named(None, "mood"));
        assert_eq!(name("Mood"), named(None, "mood"));
        assert_eq!(name("\"Mood\""), named(None, "Mood"));
        assert_eq!(name("app.mood"), named(Some("app"), "mood"));
        assert_eq!(
            name("app.\"Mood \"\"x\"\"\""),
            named(Some("app"), "Mood \"x\"")
        );
        assert_eq!(name("mood[]"), named(None, "mood"));
        assert_eq!(name("app.text"), named(Some("app"), "text"));
        assert_eq!(name("text"), None);
        assert_eq!(read_type("mood[]", Postgres).family, Family::Array);
    }

    #[test]
    fn nonsense_is_still_a_type() {
        for text in [
            "(", ")", "'", "\"", "((((", "enum('a", "[", "ä(ö", ".", "a.b.c",
        ] {
            for dialect in [Postgres, MySql, Sqlite] {
                read_type(text, dialect);
            }
        }
    }
}
