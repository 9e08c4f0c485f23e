//! The statements of a plan: a text that can be saved and run, its words being comments.

use std::fmt::Write as _;

use serde_json::json;

use super::json::{Format, PlanView};
use super::{Ui, count, terminal};
use crate::error::Failure;
use rollback_core::names::in_short;
use rollback_core::plan::{Plan, Step};
use rollback_core::rendering::{RenderError, Rendering};

impl Ui {
    /// The answer of `rollback plan --sql`: one rendering for each step.
    pub fn plan_with_sql(
        &self,
        view: PlanView<'_>,
        renderings: &[Rendering],
    ) -> Result<(), Failure> {
        if self.format == Format::Json {
            let mut value = Self::plan_json(view);
            let steps = value["steps"].as_array_mut().into_iter().flatten();
            for (step, rendering) in steps.zip(renderings) {
                step["sql"] = json!(rendering.as_ref().ok());
                step["sql_error"] = json!(rendering.as_ref().err().map(|obstacle| json!({
                    "sentence": obstacle.sentence,
                    "file": obstacle.file,
                    "line": obstacle.line,
                })));
            }
            return self.json_line(&value);
        }
        let mut text = comment(&self.plan_text(view));
        let steps = &view.plan.steps;
        for (index, (step, rendering)) in steps.iter().zip(renderings).enumerate() {
            let heading = heading(index + 1, steps.len(), step);
            text.push('\n');
            text.push_str(&comment(&heading));
            match rendering {
                Ok(sql) => {
                    let _ = write!(text, "\n{sql}");
                }
                Err(obstacle) => text.push_str(&comment(&missing(step, obstacle))),
            }
        }
        self.document(&text)?;
        let missing = renderings.iter().filter(|one| one.is_err()).count();
        if missing > 0 {
            self.warn(&format!(
                "{} of {} {}: the SQL is not whole",
                missing,
                count(steps.len(), "step"),
                if steps.iter().all(Step::is_of_a_sequence) {
                    "has none"
                } else {
                    "cannot be rendered offline"
                }
            ));
        }
        Ok(())
    }

    /// The SQL of each step of a dry run, for people. Programs ask `plan --sql`.
    pub fn sql_of_dry_run(&self, plan: &Plan, renderings: &[Rendering]) -> Result<(), Failure> {
        if self.format == Format::Json || plan.steps.is_empty() {
            return Ok(());
        }
        let mut text = format!("\n{}\n", self.out.bold("SQL that would run:"));
        for (step, rendering) in plan.steps.iter().zip(renderings) {
            let _ = writeln!(text, "\n-- {}", step.removes);
            match rendering {
                Ok(sql) => text.push_str(sql),
                Err(obstacle) => text.push_str(&comment(&missing(step, obstacle))),
            }
        }
        self.data(&text)
    }
}

fn heading(number: usize, of: usize, step: &Step) -> String {
    let rows = if step.is_of_a_sequence() {
        String::new()
    } else {
        format!(
            "the version table holds {} before it and {} after it\n",
            in_short(&step.heads_before),
            in_short(&step.heads_after)
        )
    };
    format!(
        "step {number} of {of}: {}  {}\n{rows}",
        step.removes,
        step.revision.title(),
    )
}

fn missing(step: &Step, obstacle: &RenderError) -> String {
    let id = &step.removes;
    if step.is_of_a_sequence() {
        return format!("{id} {}\n", obstacle.sentence);
    }
    match obstacle.place() {
        Some(place) => format!(
            "{id} cannot be rendered offline: {place}\n{}\n",
            obstacle.sentence
        ),
        None => format!("{id} cannot be rendered offline: {}\n", obstacle.sentence),
    }
}

/// Every line behind a `--`. What some clients take for the end of a line as well may not end it, or the
/// rest would be a statement.
fn comment(text: &str) -> String {
    let mut commented = String::new();
    for line in text.lines() {
        let line = terminal::rendered(line);
        let _ = writeln!(commented, "{}", format!("-- {line}").trim_end());
    }
    commented
}

#[cfg(test)]
mod tests {
    use super::comment;

    #[test]
    fn nothing_gets_out_of_a_comment() {
        assert_eq!(
            comment("a\rDROP TABLE b;\n\nc\u{2028}d\n"),
            "-- a\\x0dDROP TABLE b;\n--\n-- c\\u{2028}d\n"
        );
    }
}
