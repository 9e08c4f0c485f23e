//! Alembic's own configuration: the section of an ini file, and the table of a `pyproject.toml`.

use std::path::Path;

use regex::Regex;

use super::plain;
use crate::ini::{self, Ini};
use rollback_system::files;

/// What the two files say; the first wins.
pub(super) struct Config {
    ini: Option<(Ini, String)>,
    section: String,
    toml: Option<(toml::Table, String)>,
    /// Both as they are.
    pub(super) texts: Vec<String>,
}

impl Config {
    pub(super) fn read(
        dir: &Path,
        ini: Option<&Path>,
        toml: Option<&Path>,
        section: &str,
    ) -> Result<Self, String> {
        let text = |file: &Path| {
            let path = dir.join(file);
            match files::read_text(&path) {
                Ok(text) => Ok(Some((text, here(&path)?))),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(format!("{} cannot be read: {error}", file.display())),
            }
        };
        let named = |file: &Path| {
            let file = file.display().to_string();
            move |reason: String| format!("{file} cannot be read: {reason}")
        };
        let mut texts = Vec::new();
        let ini = match ini {
            Some(file) => text(file)?
                .map(|(text, here)| {
                    texts.push(text.clone());
                    Ini::parse(&text)
                        .map(|ini| (ini, here))
                        .map_err(named(file))
                })
                .transpose()?,
            None => None,
        };
        let toml = match toml {
            Some(file) => text(file)?
                .map(|(text, here)| {
                    texts.push(text.clone());
                    let table = text.parse::<toml::Table>();
                    table
                        .map(|table| (tool_alembic(table), here))
                        .map_err(|error| named(file)(error.message().to_owned()))
                })
                .transpose()?,
            None => None,
        };
        Ok(Self {
            ini,
            section: section.to_owned(),
            toml,
            texts,
        })
    }

    fn said_by_ini(&self, name: &str) -> Result<Option<String>, String> {
        match &self.ini {
            Some((ini, here)) => ini.get(&self.section, name, here),
            None => Ok(None),
        }
    }

    fn said_by_toml(&self, name: &str) -> Option<(&toml::Value, &str)> {
        let (table, here) = self.toml.as_ref()?;
        Some((table.get(name)?, here))
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<String>, String> {
        if let Some(text) = self.said_by_ini(name)? {
            return Ok(Some(text));
        }
        match self.said_by_toml(name) {
            Some((toml::Value::String(text), here)) => formatted(text, here).map(Some),
            Some(_) => Err(format!("{name} is no text")),
            None => Ok(None),
        }
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, String> {
        if let Some(text) = self.said_by_ini(name)? {
            return Ok(text == "true");
        }
        match self.said_by_toml(name) {
            Some((toml::Value::Boolean(flag), _)) => Ok(*flag),
            Some(_) => Err(format!("{name} is neither true nor false")),
            None => Ok(false),
        }
    }

    /// A list of paths. Without a separator the older ways of splitting hold.
    pub(super) fn paths(
        &self,
        name: &str,
        modern: bool,
        colons: bool,
    ) -> Result<Vec<String>, String> {
        let Some(text) = self.said_by_ini(name)?.filter(|text| !text.is_empty()) else {
            return match self.said_by_toml(name) {
                Some((toml::Value::Array(items), here)) => items
                    .iter()
                    .map(|item| match item {
                        toml::Value::String(text) => formatted(text, here),
                        _ => Err(format!("{name} is no list of texts")),
                    })
                    .collect(),
                Some(_) => Err(format!("{name} is no list")),
                None => Ok(Vec::new()),
            };
        };
        let mut separator = None;
        if modern {
            separator = self.said_by_ini("path_separator")?;
        }
        if separator.is_none() && !colons {
            separator = self.said_by_ini("version_path_separator")?;
        }
        let separator = match separator.as_deref() {
            None => return split_as_of_old(&text, colons),
            Some("space") => ' ',
            Some("newline") => '\n',
            Some("os" | ":") => ':',
            Some(";") => ';',
            Some(other) => return Err(format!("{other:?} is no separator of paths")),
        };
        Ok(text
            .split(separator)
            .filter(|part| !part.is_empty())
            .map(|part| part.trim().to_owned())
            .collect())
    }
}

fn split_as_of_old(text: &str, colons: bool) -> Result<Vec<String>, String> {
    let pattern = if colons {
        r", *|(?: +)|:"
    } else {
        r", *|(?: +)"
    };
    let pattern = Regex::new(pattern).map_err(|error| error.to_string())?;
    Ok(pattern.split(text).map(str::to_owned).collect())
}

fn formatted(text: &str, here: &str) -> Result<String, String> {
    ini::interpolate(text, |name| match name {
        "here" => Ok(here.to_owned()),
        name => Err(format!("{name} is not known")),
    })
}

fn tool_alembic(mut table: toml::Table) -> toml::Table {
    let tool = table.get_mut("tool").and_then(toml::Value::as_table_mut);
    match tool.and_then(|tool| tool.remove("alembic")) {
        Some(toml::Value::Table(table)) => table,
        _ => toml::Table::new(),
    }
}

/// The folder of a file.
fn here(file: &Path) -> Result<String, String> {
    let folder = plain(file.parent().unwrap_or(file));
    let folder = folder.into_os_string().into_string();
    folder.map_err(|_| "the name of the project's folder is no text".to_owned())
}
