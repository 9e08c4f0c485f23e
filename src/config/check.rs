//! `[[check]]`: a check of the project as it is written in the file.

use std::time::Duration;

use serde::Deserialize;

use super::parse::{duration, words};
use super::toml::table;
use crate::checks::{ProjectCheck, What, When, is_address};

/// How long a check may take where it does not say.
const TIMEOUT: Duration = Duration::from_secs(30);

table! {
    /// One `[[check]]`; unknown keys are found before.
    #[derive(Debug, Deserialize)]
    CheckFile {
        name: String,
        sql: Option<String>,
        expect: Option<toml::Value>,
        command: Option<toml::Value>,
        url: Option<String>,
        status: Option<u16>,
        timeout: Option<String>,
        when: String,
    }
}

/// Reads one; the error is a sentence without the name of the file.
pub(super) fn read(file: CheckFile) -> Result<ProjectCheck, String> {
    let name = file.name;
    let bad = |reason: &str| format!("check \"{name}\": {reason}");
    let kinds = [
        file.sql.is_some(),
        file.command.is_some(),
        file.url.is_some(),
    ];
    if kinds.iter().filter(|given| **given).count() != 1 {
        return Err(bad("it needs exactly one of sql, command and url"));
    }
    if file.expect.is_some() && file.sql.is_none() {
        return Err(bad("expect is the value of sql"));
    }
    if file.status.is_some() && file.url.is_none() {
        return Err(bad("status is the answer of url"));
    }
    let what = match (file.sql, file.command, file.url) {
        (Some(sql), ..) => {
            let expect = match file.expect {
                None => None,
                Some(toml::Value::String(text)) => Some(text),
                Some(toml::Value::Integer(number)) => Some(number.to_string()),
                Some(_) => return Err(bad("expect is a text or a whole number")),
            };
            What::Sql { sql, expect }
        }
        (_, Some(toml::Value::String(line)), _) => {
            What::Command(words(&line).map_err(|reason| bad(&reason))?)
        }
        (_, Some(command), _) => {
            let list: Vec<String> = command
                .try_into()
                .map_err(|_| bad("command is a line or a list of words"))?;
            if list.is_empty() {
                return Err(bad("the command is empty"));
            }
            What::Command(list)
        }
        (.., url) => {
            let url = url.unwrap_or_default();
            is_address(&url).map_err(|reason| bad(&reason))?;
            let status = file.status.unwrap_or(200);
            What::Url { url, status }
        }
    };
    let when = match file.when.as_str() {
        "before" => When::Before,
        "after_step" => When::AfterStep,
        "after" => When::After,
        other => {
            return Err(bad(&format!(
                "when is before, after_step or after, not {other}"
            )));
        }
    };
    let timeout = match file.timeout {
        Some(text) => duration(&text).map_err(|reason| bad(&reason))?,
        None => TIMEOUT,
    };
    Ok(ProjectCheck {
        name,
        what,
        when,
        timeout,
    })
}
