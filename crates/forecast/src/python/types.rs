//! The types of columns.

use std::rc::Rc;

use super::calls::Arguments;
use super::models::members_of_enum;
use super::sqlalchemy_objects::SqlaObject;
use super::value::{Class, Value};
use rollback_core::dialect::Dialect;
use rollback_core::operation::{ColumnType, Family, Operation, TableName};

/// The family that a type's name stands for.
fn family(name: &str) -> Option<(Family, &'static str)> {
    Some(match name {
        "Boolean" | "BOOLEAN" | "BOOL" => (Family::Boolean, "BOOLEAN"),
        "SmallInteger" | "SMALLINT" | "TINYINT" | "YEAR" => (Family::SmallInteger, "SMALLINT"),
        "Integer" | "INTEGER" | "INT" | "MEDIUMINT" => (Family::Integer, "INTEGER"),
        "BigInteger" | "BIGINT" => (Family::BigInteger, "BIGINT"),
        "Numeric" | "NUMERIC" | "DECIMAL" => (Family::Numeric, "NUMERIC"),
        "Float" | "FLOAT" | "REAL" | "Double" | "DOUBLE" | "DOUBLE_PRECISION" => {
            (Family::Float, "FLOAT")
        }
        "String" | "Unicode" | "VARCHAR" | "NVARCHAR" | "VARCHAR2" | "AutoString" | "EmailType"
        | "URLType" => (Family::String, "VARCHAR"),
        "CHAR" | "NCHAR" => (Family::String, "CHAR"),
        "Text" | "UnicodeText" | "TEXT" | "CLOB" => (Family::Text, "TEXT"),
        "LONGTEXT" => (Family::Text, "LONGTEXT"),
        "MEDIUMTEXT" => (Family::Text, "MEDIUMTEXT"),
        "TINYTEXT" => (Family::Text, "TINYTEXT"),
        "LargeBinary"
        | "BLOB"
        | "LONGBLOB"
        | "MEDIUMBLOB"
        | "BYTEA"
        | "BINARY"
        | "VARBINARY"
        | "PickleType"
        | "EncryptedType"
        | "StringEncryptedType" => (Family::Binary, "BLOB"),
        "Date" | "DATE" => (Family::Date, "DATE"),
        "Time" | "TIME" => (Family::Time, "TIME"),
        "DateTime" | "DATETIME" | "TIMESTAMP" | "ArrowType" => (Family::DateTime, "TIMESTAMP"),
        "Interval" | "INTERVAL" => (Family::Interval, "INTERVAL"),
        "JSON" | "JSONType" => (Family::Json, "JSON"),
        "JSONB" => (Family::Jsonb, "JSONB"),
        "UUID" | "Uuid" | "UUIDType" => (Family::Uuid, "UUID"),
        "Enum" | "ENUM" => (Family::Enum, "ENUM"),
        "ARRAY" => (Family::Array, "ARRAY"),
        "TSVECTOR" | "HSTORE" | "INET" | "CIDR" | "MACADDR" | "MONEY" | "OID" | "BIT" | "XML"
        | "INT4RANGE" | "INT8RANGE" | "NUMRANGE" | "DATERANGE" | "TSRANGE" | "TSTZRANGE"
        | "Geometry" | "Geography" | "Vector" | "VECTOR" | "NullType" | "SET" | "LtreeType"
        | "CITEXT" | "TypeEngine" => (Family::Other, ""),
        _ => return None,
    })
}

/// Whether a name is that of a type.
pub(super) fn is_type(name: &str) -> bool {
    family(name).is_some()
}

/// What Python says where a type of SQLAlchemy's own is called with what it does not take; `None`
/// where it takes that, or may. Only types that take the same in every version of SQLAlchemy count.
/// Those of a dialect take more.
pub(super) fn refuses(full: &str, arguments: &Arguments) -> Option<String> {
    let (home, name) = full.rsplit_once('.')?;
    if !matches!(
        home,
        "sqlalchemy" | "sqlalchemy.types" | "sqlalchemy.sql.sqltypes"
    ) {
        return None;
    }
    let takes: &[&str] = match name {
        "SmallInteger" | "SMALLINT" | "Integer" | "INTEGER" | "INT" | "BigInteger" | "BIGINT"
        | "Date" | "DATE" => &[],
        "Time" | "TIME" | "DateTime" | "DATETIME" | "TIMESTAMP" => &["timezone"],
        "LargeBinary" | "BLOB" | "BINARY" | "VARBINARY" => &["length"],
        _ => return None,
    };
    let foreign = arguments
        .named
        .iter()
        .find(|(name, _)| !takes.contains(&&**name));
    let given = arguments.positional.len();
    match foreign {
        _ if takes.is_empty() && (given > 0 || foreign.is_some()) => {
            Some(format!("{name}() takes no arguments"))
        }
        Some((word, _)) => Some(format!(
            "{name}.__init__() got an unexpected keyword argument '{word}'"
        )),
        None if given > takes.len() => Some(format!(
            "{name}.__init__() takes from 1 to {} positional arguments but {} were given",
            takes.len() + 1,
            given + 1
        )),
        None => None,
    }
}

/// A type made by calling its class.
pub(super) fn make(name: &str, arguments: &Arguments) -> Option<ColumnType> {
    let (family, sql) = family(name)?;
    let number = |position: usize, names: &[&str]| match arguments.get(position, names) {
        Some(Value::Int(number)) => u64::try_from(*number).ok(),
        _ => None,
    };
    let mut kind = ColumnType {
        family,
        length: None,
        precision: None,
        scale: None,
        timezone: false,
        enum_name: None,
        values: Vec::new(),
        written: if sql.is_empty() {
            name.to_owned()
        } else {
            sql.to_owned()
        },
    };
    match family {
        Family::String | Family::Binary | Family::Text => {
            kind.length = number(0, &["length"]);
            if let Some(length) = kind.length {
                kind.written = format!("{sql}({length})");
            } else if sql == "VARCHAR" && !is_bare_string(name, arguments) {
                UNKNOWN_LENGTH.clone_into(&mut kind.written);
            }
        }
        Family::Numeric | Family::Float => {
            let small = |number: Option<u64>| number.and_then(|number| u32::try_from(number).ok());
            kind.precision = small(number(0, &["precision"]));
            kind.scale = small(number(1, &["scale"]));
            if let (Family::Numeric, Some(precision)) = (family, kind.precision) {
                kind.written = match kind.scale {
                    Some(scale) => format!("NUMERIC({precision}, {scale})"),
                    None => format!("NUMERIC({precision})"),
                };
            }
        }
        Family::DateTime | Family::Time => {
            kind.timezone = arguments
                .get(0, &["timezone"])
                .and_then(Value::truth)
                .unwrap_or(false);
            if kind.timezone {
                kind.written = format!("{sql} WITH TIME ZONE");
            }
        }
        Family::Enum => enumerate(&mut kind, arguments),
        Family::Array => {
            if let Some(inner) = arguments.get(0, &["item_type"]).and_then(of_value) {
                kind.written = format!("{}[]", inner.written);
            }
        }
        _ => {}
    }
    Some(kind)
}

/// A VARCHAR of which it is not known whether it has a length.
const UNKNOWN_LENGTH: &str = "VARCHAR(...)";

/// SQLAlchemy's own string type without a length.
fn is_bare_string(name: &str, arguments: &Arguments) -> bool {
    matches!(name, "String" | "Unicode" | "VARCHAR" | "NVARCHAR")
        && arguments.positional.is_empty()
        && arguments.named.is_empty()
        && !arguments.open
}

/// The same type of which a class or a variant decides how it is written.
pub(super) fn undecided(mut kind: ColumnType) -> ColumnType {
    if kind.written == "VARCHAR" {
        UNKNOWN_LENGTH.clone_into(&mut kind.written);
    }
    kind
}

/// What SQLAlchemy's compiler says of an operation on this server, if it refuses it.
pub(super) fn not_compiled(operation: &Operation, dialect: Dialect) -> Option<&'static str> {
    let bare = |kind: &Option<ColumnType>| {
        kind.as_ref()
            .is_some_and(|kind| kind.written == "VARCHAR" && kind.length.is_none())
    };
    let is_bare = match operation {
        Operation::CreateTable { columns, .. } => columns.iter().any(|column| bare(&column.kind)),
        Operation::AddColumn { column, .. } => bare(&column.kind),
        Operation::AlterColumn { change, .. } => bare(&change.kind),
        _ => false,
    };
    (is_bare && dialect == Dialect::MySql).then_some("VARCHAR requires a length on dialect mysql")
}

fn enumerate(kind: &mut ColumnType, arguments: &Arguments) {
    let schema = arguments
        .named("schema")
        .and_then(Value::as_text)
        .map(str::to_owned);
    let mut name = arguments
        .named("name")
        .and_then(Value::as_text)
        .map(str::to_owned);
    if let Some(Value::Class(class)) = arguments.positional.first() {
        // SQLAlchemy takes the class's name in lower case and the names of its members.
        name = name.or_else(|| Some(class.name.to_lowercase()));
        if !arguments
            .named
            .iter()
            .any(|(name, _)| &**name == "values_callable")
            && members_of_enum(class).is_some()
        {
            kind.values = class
                .members
                .borrow()
                .iter()
                .filter(|(name, value)| {
                    !name.starts_with('_') && !matches!(value, Value::Function(_))
                })
                .map(|(name, _)| name.to_string())
                .collect();
        }
    } else if !arguments.open {
        let words: Option<Vec<String>> = arguments
            .positional
            .iter()
            .map(|value| value.as_text().map(str::to_owned))
            .collect();
        kind.values = words.unwrap_or_default();
    }
    kind.enum_name = name.clone().map(|name| TableName { schema, name });
    if let Some(name) = name {
        kind.written = name;
    }
}

/// The type that a value stands for: an object or a class.
pub(super) fn of_value(value: &Value) -> Option<ColumnType> {
    match value {
        Value::Thing(thing) => match &**thing {
            SqlaObject::Type(kind) | SqlaObject::OwnEnum(kind) => Some(kind.clone()),
            _ => None,
        },
        Value::Foreign(name) => make(
            name.rsplit('.').next().unwrap_or(name),
            &Arguments::default(),
        ),
        Value::Class(class) => of_class(class, 0),
        _ => None,
    }
}

/// The type that a class of the project decorates or derives from.
pub(super) fn of_class(class: &Rc<Class>, depth: u32) -> Option<ColumnType> {
    if depth > 10 {
        return None;
    }
    if let Some((_, decorated)) = class
        .members
        .borrow()
        .iter()
        .find(|(name, _)| name.as_str() == "impl")
        && let Some(kind) = of_value(decorated)
    {
        return Some(undecided(kind));
    }
    let kind = class.bases.iter().find_map(|base| match base {
        Value::Class(base) => of_class(base, depth + 1),
        Value::Foreign(name) if name.starts_with("sqlalchemy") => {
            let name = name.rsplit('.').next().unwrap_or(name);
            match name {
                "UserDefinedType" => make("TypeEngine", &Arguments::default()),
                "Enum" => None,
                name => make(name, &Arguments::default()),
            }
        }
        _ => None,
    });
    kind.map(undecided)
}
