//! `rollback explain`.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};

use clap::Args;

use crate::app::CommandContext;
use crate::error::{Exit, Failure};
use error_diagnosis::{self, DiagnosisContext};
use rollback_core::secret::mask;

/// What counts is at the end of a log; no more of it is kept.
const KEPT: usize = 4 << 20;

/// Tell what a failure means that is in a log, and what to do about it.
///
/// Reads what alembic, flask db, superset db, psql, mariadb, sqlite3 or a CI job printed, with the
/// timestamps, colours and names of containers that others put before the lines. The last error of it
/// counts, and the last 4 MiB. Needs no project and no database.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rollback explain deploy.log
  alembic downgrade -1 2>&1 | tee log.txt; rollback explain log.txt
  docker compose logs --no-color api | rollback explain -

Exit codes: 0 the failure is known, 1 the log cannot be read, 7 nothing in it is known.")]
pub struct ExplainArgs {
    /// The log, or - for stdin.
    #[arg(value_name = "FILE")]
    pub file: String,
}

/// Reads, and tells.
pub fn run(args: &ExplainArgs, context: &CommandContext<'_>) -> Result<Exit, Failure> {
    let text = if args.file == "-" {
        end_of(io::stdin().lock())
    } else {
        File::open(context.dir.join(&args.file)).and_then(end_of)
    };
    let text = text.map_err(|error| {
        Failure::user(format!("cannot read {}: {error}", args.file))
            .hint("name a log that can be read, or hand it over: ... | rollback explain -")
    })?;
    let known = DiagnosisContext {
        look: Some(context.command(&["current"]).to_string()),
        ..DiagnosisContext::default()
    };
    // What is quoted of it is shown: without the passwords of its URLs.
    let diagnosis = error_diagnosis::diagnose(&mask(&text, None), &known);
    context.ui.explained(&diagnosis)?;
    Ok(if diagnosis.is_known() {
        Exit::Done
    } else {
        Exit::NotKnown
    })
}

/// The end of what can be read, whatever bytes it is made of.
fn end_of(mut source: impl Read) -> io::Result<String> {
    let mut kept: VecDeque<u8> = VecDeque::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = match source.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        kept.extend(&buffer[..read]);
        kept.drain(..kept.len().saturating_sub(KEPT));
    }
    Ok(text_of(kept.make_contiguous()))
}

/// Logs of Windows are UTF-16 now and then; whatever else is no UTF-8 is read as far as it goes.
fn text_of(bytes: &[u8]) -> String {
    let units = |order: fn([u8; 2]) -> u16| {
        let (pairs, _) = bytes.as_chunks::<2>();
        let units: Vec<u16> = pairs.iter().copied().map(order).collect();
        String::from_utf16_lossy(&units)
    };
    match bytes {
        [0xff, 0xfe, ..] => units(u16::from_le_bytes),
        [0xfe, 0xff, ..] => units(u16::from_be_bytes),
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_anything_can_be_read() {
        let mut large = vec![b'x'; KEPT + 10];
        large.extend(b"\nthe end \xff");
        let text = end_of(large.as_slice()).unwrap();
        assert!(text.ends_with("\nthe end \u{fffd}"));
        assert!(text.len() <= KEPT + 3);
        let wide: Vec<u8> = "\u{feff}FAILED: x"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        assert_eq!(text_of(&wide).trim_start_matches('\u{feff}'), "FAILED: x");
    }
}
