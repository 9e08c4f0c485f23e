//! What a failure means.

use colored::Color;
use serde_json::{Value, json};

use super::Ui;
use super::json::{Format, VERSION};
use crate::error::Failure;
use error_diagnosis::Diagnosis;

impl Ui {
    /// Tells what a log says, as data.
    pub fn explained(&self, diagnosis: &Diagnosis) -> Result<(), Failure> {
        if self.format == Format::Json {
            let mut answer = diagnosis_json(diagnosis);
            answer["version"] = VERSION.into();
            return self.json_line(&answer);
        }
        let mut text = format!("{}  {}\n", self.out.bold("Cause:  "), diagnosis.cause);
        text.push_str(&format!(
            "{}  {}\n",
            self.out.bold("Meaning:"),
            diagnosis.meaning
        ));
        for advice in &diagnosis.what_to_do {
            text.push_str(&format!("  {} {advice}\n", self.out.with("→", Color::Cyan)));
        }
        text.push_str(&format!(
            "{}  {}\n",
            self.out.bold("Code:   "),
            diagnosis.code
        ));
        self.data(&text)
    }
}

/// A diagnosis as programs read it.
pub(super) fn diagnosis_json(diagnosis: &Diagnosis) -> Value {
    json!({
        "code": diagnosis.code,
        "cause": diagnosis.cause,
        "meaning": diagnosis.meaning,
        "what_to_do": diagnosis.what_to_do,
    })
}
