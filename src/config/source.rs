//! The command line, the environment and the file, and how a value is written in each of them.

//! The file and the environment, and how a value is written in each of them.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use clap::parser::ValueSource;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::choices::BackupWhen;
use super::parse::{one_of, words, yes_or_no};
use super::toml::unusable;
use crate::error::Failure;
use rollback_system::process::Environment;

/// What settings are read from.
pub(super) enum SettingSource<'a> {
    /// The arguments of the innermost command that was typed.
    Flags(&'a ArgMatches),
    Environment(&'a Environment),
    /// The file at this path.
    File(&'a Path, &'a toml::Table),
}

/// A value as it is written.
pub(super) enum Written<'a> {
    /// After a flag, each time that it was typed. A flag without a value is `true`, and its opposite `false`.
    Flag(Vec<&'a OsStr>),
    Variable(&'a OsStr),
    /// In the file at this path.
    Key(&'a Path, &'a toml::Value),
}

/// Why a value cannot be used. The text does not name the place.
#[derive(Debug)]
pub(super) enum Problem {
    /// It has another type.
    Type(String),
    Value(String),
}

impl SettingSource<'_> {
    /// The value of a setting, if it is here.
    pub(super) fn read<T>(
        &self,
        id: &str,
        key: Option<&str>,
        name: Option<&str>,
        reader: impl FnOnce(Written<'_>) -> Result<T, Problem>,
    ) -> Result<Option<T>, Failure> {
        let found = match self {
            Self::Flags(matches) => flag(matches, id).map(|values| (id, Written::Flag(values))),
            Self::Environment(environment) => {
                name.and_then(|name| Some((name, Written::Variable(variable(environment, name)?))))
            }
            Self::File(path, table) => {
                key.and_then(|key| Some((key, Written::Key(path, table.get(key)?))))
            }
        };
        found
            .map(|(name, written)| reader(written).map_err(|problem| self.failure(name, &problem)))
            .transpose()
    }

    fn failure(&self, name: &str, problem: &Problem) -> Failure {
        match (self, problem) {
            (Self::Flags(_), Problem::Type(reason) | Problem::Value(reason)) => {
                Failure::user(format!("--{name}: {reason}"))
            }
            (Self::Environment(_), problem) => {
                let problem = match problem {
                    Problem::Type(reason) => format!(" {reason}"),
                    Problem::Value(reason) => format!(": {reason}"),
                };
                Failure::user(format!("the environment variable {name}{problem}"))
                    .hint(format!("set it anew or remove it: unset {name}"))
            }
            (Self::File(path, _), Problem::Type(reason)) => {
                unusable(format!("{}: {reason}", path.display()))
            }
            (Self::File(path, _), Problem::Value(reason)) => {
                unusable(format!("{}, {name}: {reason}", path.display()))
            }
        }
    }
}

/// The values of the flag, or `false` if its opposite was typed.
fn flag<'a>(matches: &'a ArgMatches, id: &str) -> Option<Vec<&'a OsStr>> {
    let typed = |id: &str| {
        let values = matches.try_get_raw(id).ok()??;
        let is_typed = matches.value_source(id) == Some(ValueSource::CommandLine);
        is_typed.then(|| values.collect())
    };
    typed(id).or_else(|| typed(&format!("no_{id}")).map(|_: Vec<_>| vec![OsStr::new("false")]))
}

/// A variable. An empty one is as good as none.
pub(super) fn variable<'a>(environment: &'a Environment, name: &str) -> Option<&'a OsStr> {
    environment
        .get(OsStr::new(name))
        .map(AsRef::as_ref)
        .filter(|value: &&OsStr| !value.is_empty())
}

/// A value of this type in a file, and elsewhere a text.
pub(super) fn typed<T: DeserializeOwned>(written: Written<'_>) -> Result<T, Problem> {
    let value = match written {
        Written::Key(_, value) => value.clone(),
        Written::Variable(text) => unicode(text)?.into(),
        Written::Flag(texts) => unicode(texts.last().copied().unwrap_or_default())?.into(),
    };
    value
        .try_into()
        .map_err(|error: toml::de::Error| Problem::Type(error.message().to_owned()))
}

fn unicode(text: &OsStr) -> Result<&str, Problem> {
    text.to_str()
        .ok_or_else(|| Problem::Type("is not UTF-8".to_owned()))
}

/// A value of another type, which `convert` takes. For a setting that only a file has.
pub(super) fn converted<W: DeserializeOwned, T>(
    convert: fn(W) -> Result<T, String>,
) -> impl Fn(Written<'_>) -> Result<T, Problem> {
    move |written| convert(typed(written)?).map_err(Problem::Value)
}

/// A text that `parse` reads.
pub(super) fn parsed<T>(
    parse: fn(&str) -> Result<T, String>,
) -> impl Fn(Written<'_>) -> Result<T, Problem> {
    move |written| parse(&typed::<String>(written)?).map_err(Problem::Value)
}

/// A value in a file that `convert` takes, and elsewhere a text that `parse` reads.
pub(super) fn either<W: DeserializeOwned, T>(
    convert: fn(W) -> Result<T, String>,
    parse: fn(&str) -> Result<T, String>,
) -> impl Fn(Written<'_>) -> Result<T, Problem> {
    move |written| match written {
        Written::Key(..) => converted(convert)(written),
        Written::Flag(_) | Written::Variable(_) => parsed(parse)(written),
    }
}

/// Texts: a list in a file, or one after each flag.
pub(super) fn list(written: Written<'_>) -> Result<Vec<String>, Problem> {
    match written {
        Written::Flag(texts) => texts
            .into_iter()
            .map(|text| unicode(text).map(str::to_owned))
            .collect(),
        Written::Key(..) | Written::Variable(_) => typed(written),
    }
}

/// A path of any bytes. A relative one in a file starts at the file.
pub(super) fn path(written: Written<'_>) -> Result<PathBuf, Problem> {
    match written {
        Written::Key(file, _) => {
            let path: PathBuf = typed(written)?;
            Ok(file.parent().unwrap_or(Path::new("")).join(path))
        }
        Written::Flag(paths) => Ok(paths.last().copied().unwrap_or_default().into()),
        Written::Variable(path) => Ok(path.into()),
    }
}

/// The flag and its opposite say less than the other places.
pub(super) fn backup(written: Written<'_>) -> Result<BackupWhen, Problem> {
    match written {
        Written::Flag(_) => parsed(yes_or_no)(written).map(|yes| {
            if yes {
                BackupWhen::Always
            } else {
                BackupWhen::Never
            }
        }),
        Written::Key(..) | Written::Variable(_) => parsed(one_of)(written),
    }
}

/// A command line, or in a file its words.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum StringOrList {
    Line(String),
    List(Vec<String>),
}

impl StringOrList {
    pub(super) fn words(self) -> Result<Vec<String>, String> {
        match self {
            Self::Line(line) => words(&line),
            Self::List(words) => Ok(words),
        }
    }
}
