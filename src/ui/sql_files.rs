//! What is told of SQL files alone.

use colored::Color;

use super::{Ui, Verbosity, insist};
use crate::domain::revision::RevisionId;

impl Ui {
    /// How a file differs from what was registered of it, on stderr, whatever the verbosity: a refusal rests on it.
    pub fn difference(&self, id: &RevisionId, difference: &str) {
        insist(&format!(
            "\n{}",
            self.err
                .bold(&format!("{id} was changed since it was registered:"))
        ));
        for line in difference.lines() {
            let line = match line.as_bytes().first() {
                Some(b'+') => self.err.with(line, Color::Green),
                Some(b'-') => self.err.with(line, Color::Red),
                _ => line.to_owned(),
            };
            insist(&format!("  {line}"));
        }
        if self.verbosity > Verbosity::Quiet {
            insist("");
        }
    }
}
