//! The report of a run and the list of runs on the terminal.

use std::fmt::Write as _;

use serde_json::{Value, json};
use textwrap::core::display_width;

use super::Ui;
use super::json::{Format, VERSION};
use crate::error::Failure;
use rollback_core::names::latest;
use rollback_core::run_report::markdown::markdown;
use rollback_core::run_report::sections::{Cell, PageBlock, TITLE, moment, page};
use rollback_core::run_report::{Named, RunReport, RunStatus};
use rollback_core::untrusted::visible;

/// No column of a table gets narrower.
const NARROWEST: usize = 10;

/// A run of the list.
#[derive(Debug)]
pub enum HistoryRow {
    /// What its journal says.
    Run {
        /// The account.
        document: Box<RunReport>,
        /// Whether it, or an engine that it started, is at work now.
        at_work: bool,
        /// The command that goes on with it, where it has no end.
        resume: String,
    },
    /// Its journal cannot be read.
    Damaged {
        /// The run.
        run: String,
        /// Why.
        reason: String,
    },
}

impl Ui {
    /// The answer of `rollback history`.
    pub fn history(&self, runs: &[HistoryRow], place: &str) -> Result<(), Failure> {
        if self.format == Format::Json {
            return self.json_line(&history_json(runs));
        }
        if runs.is_empty() {
            self.say(&format!("No run is recorded in {place}."));
            return Ok(());
        }
        let told: Vec<String> = runs.iter().map(|run| self.run_text(run)).collect();
        self.data(&told.join("\n"))
    }

    fn run_text(&self, told: &HistoryRow) -> String {
        let (document, at_work, resume) = match told {
            HistoryRow::Run {
                document,
                at_work,
                resume,
            } => (document, *at_work, resume),
            HistoryRow::Damaged { run, reason } => {
                let mut text = format!("{}  cannot be read\n", self.out.bold(run));
                self.line(&mut text, "why", reason);
                return text;
            }
        };
        let status = if at_work {
            "under way"
        } else {
            document.status.word()
        };
        let mut text = format!(
            "{}  {status:<11}  {}  {}\n",
            self.out.bold(&document.run),
            moment(&document.began),
            visible(&document.who()),
        );
        self.line(&mut text, "database", &document.database);
        self.line(
            &mut text,
            "from",
            &named(&document.from, document.rows_told()),
        );
        let to = document
            .to
            .as_deref()
            .map(|to| named(to, document.rows_told()));
        let target = format!("target {}", document.target);
        self.line(
            &mut text,
            "to",
            &to.map_or(target.clone(), |to| format!("{to} ({target})")),
        );
        let why = [&document.reason, &document.incident];
        let why: Vec<&str> = why.into_iter().flatten().map(String::as_str).collect();
        if !why.is_empty() {
            self.line(&mut text, "why", &why.join(", "));
        }
        if !at_work {
            self.line(&mut text, "result", &document.result);
        }
        if document.status == RunStatus::Unfinished && !at_work {
            // Not wrapped: it is to be copied.
            let _ = writeln!(text, "  {:<10}{resume}", "next");
        }
        text
    }

    fn line(&self, text: &mut String, label: &str, value: &str) {
        let value = visible(value).replace('\n', " ");
        let value = self.wrapped(&value, 12, &" ".repeat(12));
        let _ = writeln!(text, "  {label:<10}{value}");
    }

    /// The answer of `rollback show`.
    pub fn report(&self, document: &RunReport, as_markdown: bool) -> Result<(), Failure> {
        if as_markdown {
            return self.data(&markdown(document));
        }
        if self.format == Format::Json {
            let value = serde_json::to_value(document).map_err(anyhow::Error::from)?;
            return self.json_line(&value);
        }
        self.data(&self.page_text(document))
    }

    fn page_text(&self, document: &RunReport) -> String {
        let mut text = format!("{}\n", self.out.bold(TITLE));
        for section in page(document) {
            let _ = write!(text, "\n{}\n", self.out.bold(section.title));
            for block in &section.blocks {
                self.block(&mut text, block);
            }
        }
        text
    }

    fn block(&self, text: &mut String, block: &PageBlock) {
        match block {
            PageBlock::Facts(facts) => {
                let label = facts.iter().map(|(name, _)| name.len() + 2).max();
                let label = label.unwrap_or_default();
                for (name, value) in facts {
                    self.hanging(text, &format!("  {:<label$}", format!("{name}:")), value);
                }
            }
            PageBlock::Table(head, rows) => self.table(text, head, rows),
            PageBlock::Code(code) => {
                for line in visible(code).lines() {
                    let _ = writeln!(text, "    {line}");
                }
            }
            PageBlock::List(items) => {
                for item in items {
                    self.hanging(text, "  - ", item);
                }
            }
            PageBlock::Tasks(items) => {
                for (done, item) in items {
                    let mark = if *done { 'x' } else { ' ' };
                    self.hanging(text, &format!("  [{mark}] "), item);
                }
            }
            PageBlock::Heading(title) => {
                let _ = writeln!(text, "\n  {}", one_line(title));
            }
            PageBlock::Paragraph(sentence) => self.hanging(text, "  ", sentence),
        }
    }

    /// A text whose further lines stand under its first.
    fn hanging(&self, text: &mut String, first: &str, cell: &Cell) {
        let taken = first.len();
        let wrapped = self.wrapped(&one_line(cell), taken, &" ".repeat(taken));
        let _ = writeln!(text, "{first}{wrapped}");
    }

    fn table(&self, text: &mut String, head: &[&str], rows: &[Vec<Cell>]) {
        let head: Vec<String> = head.iter().map(ToString::to_string).collect();
        let rows: Vec<Vec<String>> = [head]
            .into_iter()
            .chain(rows.iter().map(|row| row.iter().map(one_line).collect()))
            .collect();
        let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
        let widest = |column: usize| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells
                .map(|cell| display_width(cell))
                .max()
                .unwrap_or_default()
        };
        let mut widths: Vec<usize> = (0..columns).map(widest).collect();
        if let Some(room) = self.surroundings.width {
            fit(&mut widths, room.saturating_sub(2 * columns));
        }
        for row in &rows {
            let cells: Vec<Vec<String>> = row
                .iter()
                .zip(&widths)
                .map(|(cell, width)| {
                    let lines = textwrap::wrap(cell, (*width).max(1));
                    lines.into_iter().map(Into::into).collect()
                })
                .collect();
            let height = cells.iter().map(Vec::len).max().unwrap_or_default();
            for line in 0..height {
                let mut shown = String::new();
                for (cell, width) in cells.iter().zip(&widths) {
                    let part = cell.get(line).map_or("", String::as_str);
                    let pad = width.saturating_sub(display_width(part));
                    let _ = write!(shown, "  {part}{}", " ".repeat(pad));
                }
                let _ = writeln!(text, "{}", shown.trim_end());
            }
        }
    }
}

/// Takes from the widest column until all have room, or none can give.
fn fit(widths: &mut [usize], room: usize) {
    while widths.iter().sum::<usize>() > room {
        match widths.iter_mut().max() {
            Some(widest) if *widest > NARROWEST => *widest -= 1,
            _ => return,
        }
    }
}

fn one_line(cell: &Cell) -> String {
    visible(cell.text()).replace('\n', " ")
}

fn named(revisions: &[Named], told: usize) -> String {
    let named = |named: &Named| {
        let message = named.message.as_deref().unwrap_or_default();
        let first = message.lines().next().unwrap_or_default().trim();
        format!("{} {first}", named.revision).trim_end().to_owned()
    };
    latest(revisions.iter().map(named), told)
}

fn history_json(runs: &[HistoryRow]) -> Value {
    let ids = |revisions: &[Named]| -> Vec<Value> {
        revisions
            .iter()
            .map(|named| json!(named.revision))
            .collect()
    };
    let mut told = Vec::new();
    let mut damaged = Vec::new();
    for run in runs {
        match run {
            HistoryRow::Run {
                document, at_work, ..
            } => told.push(json!({
                "run": document.run,
                "status": document.status,
                "at_work": at_work,
                "result": document.result,
                "exit_code": document.exit_code,
                "began": document.began,
                "ended": document.ended,
                "executed_by": document.executed_by,
                "database": document.database,
                "target": document.target,
                "from": ids(&document.from),
                "to": document.to.as_deref().map(ids),
                "stands_at": ids(&document.stands_at),
                "reason": document.reason,
                "incident": document.incident,
                "next": document.next,
            })),
            HistoryRow::Damaged { run, reason } => {
                damaged.push(json!({ "run": run, "reason": reason }));
            }
        }
    }
    json!({ "version": VERSION, "runs": told, "damaged": damaged })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_widest_columns_give_way_until_all_have_room() {
        let mut widths = [4, 30, 60];
        fit(&mut widths, 60);
        assert_eq!(widths, [4, 28, 28]);
        let mut widths = [4, 30];
        fit(&mut widths, 3);
        assert_eq!(widths, [4, 10]);
    }
}
