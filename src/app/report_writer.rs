//! Leaves the report of a run beside its record, and wherever else it is wanted.

use std::path::{Path, PathBuf};

use super::CommandContext;
use super::project::Project;
use crate::store::{self, JSON, MARKDOWN, Store, StoreError};
use rollback_core::run_report::RunReport;
use rollback_core::run_report::markdown::markdown;
use rollback_core::untrusted;

/// Reads a name for `--report`.
pub(crate) fn file(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match path.extension().and_then(std::ffi::OsStr::to_str) {
        Some("json" | "md") => Ok(path),
        _ => Err(format!(
            "{text} ends neither in .json, for programs, nor in .md, for people"
        )),
    }
}

/// Writes the reports of a run as its record stands now, and says where. What cannot be written is a warning:
/// the record has it all, and `rollback show` makes it again.
pub(crate) fn write(
    context: &CommandContext<'_>,
    store: &Store,
    project: &mut Project,
    run: &str,
    elsewhere: Option<&Path>,
) {
    let warn = |reason: String| context.ui.warn(&reason);
    let document = match store.lines(run).map(|lines| RunReport::of(&lines)) {
        Ok(Some(document)) => document,
        Ok(None) => return,
        Err(error) => return warn(format!("the report cannot be made: {error}")),
    };
    match put(store, &document) {
        Ok(path) => context.ui.say(&format!("Report:   {}", path.display())),
        Err(error) => warn(format!("the report cannot be written: {error}")),
    }
    if let Some(file) = elsewhere {
        let path = context.dir.join(file);
        let text = if file.extension().is_some_and(|ending| ending == "json") {
            json(&document)
        } else {
            markdown(&document)
        };
        if let Err(error) = store::put(&path, &text) {
            warn(format!("the report cannot be written: {error}"));
        }
    }
    if let Err(failure) = super::audit_table::write(context, project, &document) {
        let because = failure.causes.join(": ");
        warn(format!("{}: {because}", failure.message));
    }
}

/// Beside the record; gives the path of the one for people.
fn put(store: &Store, document: &RunReport) -> Result<PathBuf, StoreError> {
    store.put_report(&document.run, JSON, &json(document))?;
    store.put_report(&document.run, MARKDOWN, &markdown(document))
}

/// As it is written to a file.
pub(crate) fn json(document: &RunReport) -> String {
    // A value of strings and numbers always has a JSON form.
    untrusted::pretty_json(document).unwrap_or_default() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_says_which_report_is_wanted() {
        assert_eq!(file("out/a.json"), Ok(PathBuf::from("out/a.json")));
        assert_eq!(file("a.md"), Ok(PathBuf::from("a.md")));
        assert_eq!(
            file("a.txt"),
            Err("a.txt ends neither in .json, for programs, nor in .md, for people".to_owned())
        );
    }
}
