//! The file of settings: which one it is, and how it is taken in. Its keys are in `toml.rs`.

use std::path::Path;

use super::settings::PartialSettings;
use super::toml::{read, unusable};
use crate::error::Failure;
use rollback_system::files;

/// The name of the file.
pub(super) const FILE: &str = "rollback.toml";

/// The file that was named. It has to exist.
pub(super) fn read_named(path: &Path) -> Result<PartialSettings, Failure> {
    if path.extension().is_some_and(|extension| extension == "ini") {
        return Err(Failure::user(format!(
            "{} is Alembic's configuration, and --config names ours",
            path.display()
        ))
        .hint(format!(
            "give it to Alembic: --alembic-config {}",
            path.display()
        )));
    }
    let text = text_of(path)?.ok_or_else(|| {
        Failure::user(format!(
            "the configuration file {} does not exist",
            path.display()
        ))
        .hint("leave --config away to use rollback.toml of the project's directory, if any")
    })?;
    let table = parse(path, &text)?;
    let inner = match path.file_name() {
        Some(name) if name == "pyproject.toml" => tool_rollback(table).unwrap_or_default(),
        _ => table,
    };
    read(path, &inner)
}

/// The file of the project, if it has one.
pub(super) fn read_of_directory(dir: &Path) -> Result<PartialSettings, Failure> {
    let own = dir.join(FILE);
    if let Some(text) = text_of(&own)? {
        return read(&own, &parse(&own, &text)?);
    }
    let project = dir.join("pyproject.toml");
    // A pyproject.toml that does not parse is somebody else's to complain about, unless it is ours.
    if let Some(text) = text_of(&project)?
        && text.contains("tool.rollback")
        && let Some(table) = tool_rollback(parse(&project, &text)?)
    {
        return read(&project, &table);
    }
    Ok(PartialSettings::default())
}

fn tool_rollback(mut project: toml::Table) -> Option<toml::Table> {
    match project
        .get_mut("tool")?
        .as_table_mut()?
        .remove("rollback")?
    {
        toml::Value::Table(table) => Some(table),
        _ => None,
    }
}

fn text_of(path: &Path) -> Result<Option<String>, Failure> {
    match files::read_text(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(
            Failure::user(format!("cannot read {}: {error}", path.display())).hint(
                match error.kind() {
                    std::io::ErrorKind::PermissionDenied => {
                        "check its permissions, or name another file with --config FILE"
                    }
                    _ => "name another file with --config FILE",
                },
            ),
        ),
    }
}

fn parse(path: &Path, text: &str) -> Result<toml::Table, Failure> {
    text.parse().map_err(|error: toml::de::Error| {
        let line = error
            .span()
            .map_or(0, |span| text[..span.start].matches('\n').count() + 1);
        unusable(format!(
            "{}, line {line}: {}",
            path.display(),
            error.message()
        ))
    })
}
