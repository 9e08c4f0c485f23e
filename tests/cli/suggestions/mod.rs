//! Every command that an output suggests, run in the situation that suggested it.
//!
//! A situation is a project and a call. Its answer suggests commands: `rollback ...` at the end of a line, behind a
//! colon or an arrow, or options to add to the call (`to run without a backup: --no-backup`). Each of them is run by a
//! shell, on a terminal that answers every question, in that situation made again. A suggestion with a
//! `<placeholder>` is no command and is left out. The list of a situation has to be complete: a hint that is new
//! turns its test red until somebody says what its command has to come to.

mod run;
mod situations;

use crate::support::suggested;

/// Red if a command is not seen, or a sentence is taken for one.
#[test]
fn commands_are_told_from_sentences() {
    let output = "\
Next:      rollback downgrade-safe -1
  → fix the cause, then: rollback -C 'a b' resume
  → to run it without a question, add -y; to see the plan only, add --dry-run
  → to run without a backup: --no-backup
  → keep it elsewhere: --state-dir <dir>
  → then name a target: rollback downgrade-safe <target>
  → rollback downgrade-safe --only b
  the rollback of a failed: why
refused: -y alone does not allow what this plan puts at risk
  → give what is missing: --backup --verify-backup restore
Tool:    rollback 0.1.0
{\"event\":\"finished\",\"next\":[\"to go on: rollback resume\"],\"reason\":\"no: rollback nothing\"}
";
    assert_eq!(
        suggested(output),
        [
            "rollback downgrade-safe -1",
            "rollback -C 'a b' resume",
            "+ --no-backup",
            "rollback downgrade-safe --only b",
            "+ --backup --verify-backup restore",
            "rollback resume",
        ]
    );
}
