//! Where a database stands, for people.

use colored::Color;

use super::json::{CurrentView, Format, RemoteHistory};
use super::{Ui, count};
use crate::error::Failure;
use rollback_core::revision::Heads;

fn remote_text(remote: &RemoteHistory) -> String {
    let applied = format!("{} in its table", count(remote.applied, "migration"));
    let newest = remote.newest.as_ref().map(|newest| {
        let is_missing = remote.without_file.contains(newest);
        let file = if is_missing { ", no file here" } else { "" };
        format!("; newest: {newest}{file}")
    });
    format!("{applied}{}", newest.unwrap_or_default())
}

impl Ui {
    /// The answer of `rollback current`.
    pub fn current(&self, standing: &CurrentView<'_>) -> Result<(), Failure> {
        if self.format == Format::Json {
            return self.json_line(&Self::current_json(standing));
        }
        let mut text = String::new();
        if let Some(database) = standing.database {
            text.push_str(&self.labelled("Database", &database.to_string()));
        }
        text.push_str(&self.labelled("Engine", standing.engine));
        if let Some(newest) = standing.newest {
            let newest = [newest.clone()].into();
            text.push_str(&self.revisions("Current", &newest, standing, ""));
            if let Some(others @ 1..) = standing.current.len().checked_sub(1) {
                text.push_str(&self.labelled("", &format!("and {others} before it")));
            }
        } else {
            let none = if standing.is_recorded {
                "nothing is applied"
            } else {
                "unknown: no revision is recorded"
            };
            text.push_str(&self.revisions("Current", standing.current, standing, none));
        }
        let none = if standing.files {
            "no files"
        } else {
            "no revisions"
        };
        text.push_str(&self.revisions("Code head", standing.heads, standing, none));
        let behind = match standing.behind {
            None => "cannot be told".to_owned(),
            Some(0) if standing.files && standing.heads.is_empty() => {
                "nothing: there is no file".to_owned()
            }
            Some(0) if standing.files => "nothing: every file is applied".to_owned(),
            Some(0) => "nothing: every revision of the code is applied".to_owned(),
            Some(behind) if standing.files => count(behind, "migration"),
            Some(behind) => count(behind, "revision"),
        };
        text.push_str(&self.labelled("Behind by", &behind));
        if let Some(remote) = &standing.supabase {
            text.push_str(&self.labelled("Supabase", &remote_text(remote)));
        }
        text.push_str(&self.recorded(&standing.recorded));
        for (_, sentence) in standing.problems {
            text.push_str(&self.odd(sentence));
        }
        self.data(&text)
    }

    /// Something odd, on a line of its own.
    pub(super) fn odd(&self, sentence: &str) -> String {
        format!("{} {sentence}\n", self.out.with("odd:", Color::Yellow))
    }

    fn revisions(
        &self,
        label: &str,
        ids: &Heads,
        standing: &CurrentView<'_>,
        none: &str,
    ) -> String {
        if ids.is_empty() {
            return self.labelled(label, none);
        }
        let mut label = label;
        let mut text = String::new();
        for id in ids {
            let title = (standing.titles)(id.as_str());
            let line = format!("{} {title}", self.out.with(&format!("{id}"), Color::Cyan));
            text.push_str(&self.labelled(label, line.trim_end()));
            label = "";
        }
        text
    }

    pub(super) fn labelled(&self, label: &str, value: &str) -> String {
        let label = if label.is_empty() {
            String::new()
        } else {
            format!("{label}:")
        };
        format!("{} {value}\n", self.out.bold(&format!("{label:<10}")))
    }
}
