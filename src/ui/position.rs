//! Where a database stands, for people.

use colored::Color;

use super::json::{Format, Standing};
use super::{Ui, count};
use crate::domain::revision::Heads;
use crate::error::Failure;

impl Ui {
    /// The answer of `rollback current`.
    pub fn current(&self, standing: &Standing<'_>) -> Result<(), Failure> {
        if self.format == Format::Json {
            return self.json_line(&Self::current_json(standing));
        }
        let mut text = String::new();
        if let Some(database) = standing.database {
            text.push_str(&self.labelled("Database", &database.to_string()));
        }
        text.push_str(&self.labelled("Engine", standing.engine));
        text.push_str(&self.revisions("Current", standing.current, standing, "nothing is applied"));
        text.push_str(&self.revisions("Code head", standing.heads, standing, "no revisions"));
        let behind = match standing.behind {
            None => "cannot be told".to_owned(),
            Some(0) => "nothing: every revision of the code is applied".to_owned(),
            Some(behind) => count(behind, "revision"),
        };
        text.push_str(&self.labelled("Behind by", &behind));
        for (_, sentence) in standing.problems {
            text.push_str(&format!(
                "{} {sentence}\n",
                self.out.with("odd:", Color::Yellow)
            ));
        }
        self.data(&text)
    }

    fn revisions(&self, label: &str, ids: &Heads, standing: &Standing<'_>, none: &str) -> String {
        if ids.is_empty() {
            return self.labelled(label, none);
        }
        let mut label = label;
        let mut text = String::new();
        for id in ids {
            let title = (standing.titles)(id.as_str());
            let line = format!("{} {title}", self.out.with(id.as_str(), Color::Cyan));
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
