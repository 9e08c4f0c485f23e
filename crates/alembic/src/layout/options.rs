//! The options of Alembic's command line that say which configuration is read.

use std::ffi::OsString;
use std::path::PathBuf;

/// `Alembic -c FILE -n NAME -x K=V`, without what says nothing about files.
#[derive(Debug, Default)]
pub(super) struct CommandOptions {
    pub(super) configs: Vec<PathBuf>,
    pub(super) section: String,
}

/// Reads them off the words between the program and its verb.
pub(super) fn options(args: &[OsString]) -> Result<CommandOptions, String> {
    let mut found = CommandOptions {
        configs: Vec::new(),
        section: "alembic".to_owned(),
    };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let text = arg.to_string_lossy();
        let (name, glued) = match text.split_once('=') {
            Some((name, value)) if name.starts_with("--") => {
                (name.to_owned(), Some(value.to_owned()))
            }
            _ if text.len() > 2 && text.starts_with('-') && !text.starts_with("--") => (
                text.chars().take(2).collect(),
                Some(text.chars().skip(2).collect()),
            ),
            _ => (text.to_string(), None),
        };
        let mut value = || {
            let following = glued.clone().or_else(|| {
                args.next()
                    .map(|value| value.to_string_lossy().into_owned())
            });
            following.ok_or_else(|| format!("{name} lacks its value"))
        };
        match name.as_str() {
            "-c" | "--config" => found.configs.push(PathBuf::from(value()?)),
            "-n" | "--name" => found.section = value()?,
            "-x" => {
                value()?;
            }
            "--raiseerr" | "-q" | "--quiet" => {}
            _ => return Err(format!("the engine's command line has the option {name}")),
        }
    }
    Ok(found)
}
