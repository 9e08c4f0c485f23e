//! What the policy says of a plan, for people.

use std::fmt::Write as _;

use colored::Color;

use super::{Ui, count};
use rollback_core::policy::PolicyDecision;

/// So wide is the longest tag, `missing`, with what sets it in and off.
const TAG: usize = 11;

impl Ui {
    /// Each requirement, and under those that are missing what to give.
    pub(super) fn ruling_text(&self, text: &mut String, ruling: &PolicyDecision) {
        let paint = self.out;
        let of = ruling
            .environment
            .as_ref()
            .map(|name| format!(" of {name}"));
        let missing = ruling.missing().count();
        let verdict = match missing {
            0 => "met".to_owned(),
            missing => format!(
                "{missing} of {} {} missing",
                count(ruling.points.len(), "requirement"),
                if missing == 1 { "is" } else { "are" }
            ),
        };
        let title = format!("Policy{}: {verdict}", of.unwrap_or_default());
        let _ = writeln!(text, "\n{}\n", paint.bold(&title));
        let under = " ".repeat(TAG);
        for point in &ruling.points {
            let (word, color) = if point.met {
                ("met", Color::Green)
            } else {
                ("missing", Color::Red)
            };
            let _ = writeln!(
                text,
                "  {}{}",
                paint.with(&format!("{word:<9}"), color),
                self.wrapped(&point.sentence, TAG, &under)
            );
            if let Some(remedy) = &point.remedy {
                let remedy = self.wrapped(&format!("→ {remedy}"), TAG, &under);
                let _ = writeln!(text, "{under}{remedy}");
            }
        }
    }
}
