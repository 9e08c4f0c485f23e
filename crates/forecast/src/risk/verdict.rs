//! What all findings come to: what is lost, what fails, what has to be allowed, what is advised.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use rollback_core::figures::counted;
use rollback_core::finding::{FailurePrediction, Finding};
use rollback_core::finding_code::{FindingCode, Level, NoSuchFinding};

/// What goes, summed over steps. A figure with an estimate in it is one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Losses {
    /// Columns that hold values.
    pub columns: u64,
    /// Their values.
    pub values: u64,
    /// Tables that have rows.
    pub tables: u64,
    /// Their rows.
    pub rows: u64,
    /// Values that are cut to a narrower type.
    pub cut: u64,
    /// Rows that are deleted or changed where they are, at most: a statement may choose among them.
    pub changed: u64,
    /// Statements that delete or change rows which nobody counted.
    pub changes_uncounted: u64,
    /// Tables and columns that go and whose contents are not known.
    pub uncounted: u64,
    /// Archives that go after the step restored something from them.
    pub archives: u64,
    /// Functions, views and other objects that the migration may not make again as they are.
    pub definitions: u64,
    /// Whether any of the figures is an estimate.
    pub estimated: bool,
}

impl Losses {
    fn add(&mut self, finding: &Finding) {
        let known = finding.evidence.as_ref().and_then(|evidence| {
            let count = evidence.count?;
            Some((count, evidence.exact))
        });
        let is_drop = matches!(
            finding.code,
            FindingCode::TableDropped | FindingCode::ColumnDropped
        );
        let is_definition =
            finding.code == FindingCode::ObjectDropped && finding.level > Level::Low;
        self.definitions += u64::from(is_definition);
        let Some((count, exact)) = known else {
            // What the plan itself makes, or an empty table, is low and needs no figure; so is what a
            // prior calls low, and there the advice says what was not looked at.
            let is_open = finding.level > Level::Low || !finding.advice.is_empty();
            self.uncounted += u64::from(is_drop && is_open);
            let changes = finding.code == FindingCode::DataReversed && finding.level == Level::High;
            self.changes_uncounted += u64::from(changes);
            return;
        };
        match finding.code {
            FindingCode::ColumnDropped if count > 0 => {
                self.columns += 1;
                self.values = self.values.saturating_add(count);
            }
            FindingCode::TableDropped if count > 0 && finding.level < Level::High => {
                self.archives += 1;
            }
            FindingCode::TableDropped if count > 0 => {
                self.tables += 1;
                self.rows = self.rows.saturating_add(count);
            }
            FindingCode::DataReversed if finding.level == Level::High => {
                self.changed = self.changed.saturating_add(count);
            }
            // What fails cuts nothing, and what stays as it is is low.
            FindingCode::TypeNarrowed
                if finding.level == Level::High && finding.outcome.is_none() =>
            {
                self.cut = self.cut.saturating_add(count);
            }
            _ => return,
        }
        self.estimated |= !exact;
    }

    /// `drops 1,204,331 values in 2 columns, 3 tables with 88 rows`; `None` where nothing goes.
    pub fn sentence(&self) -> Option<String> {
        let exact = !self.estimated;
        let plain = |count, one, many| counted(count, true, one, many);
        let mut dropped = Vec::new();
        if self.columns > 0 {
            dropped.push(format!(
                "{} in {}",
                counted(self.values, exact, "value", "values"),
                plain(self.columns, "column", "columns")
            ));
        }
        if self.tables > 0 {
            dropped.push(format!(
                "{} with {}",
                plain(self.tables, "table", "tables"),
                counted(self.rows, exact, "row", "rows")
            ));
        }
        if self.uncounted > 0 {
            dropped.push(format!(
                "{} that {} not counted",
                plain(self.uncounted, "table or column", "tables or columns"),
                if self.uncounted == 1 { "was" } else { "were" }
            ));
        }
        let mut parts = Vec::new();
        if !dropped.is_empty() {
            parts.push(format!("drops {}", dropped.join(", ")));
        }
        if self.cut > 0 {
            parts.push(format!(
                "cuts {}",
                counted(self.cut, exact, "value", "values")
            ));
        }
        if self.changed > 0 {
            let rows = counted(self.changed, exact, "row", "rows");
            parts.push(format!("deletes or changes up to {rows}"));
        }
        if self.changes_uncounted > 0 {
            parts.push("deletes or changes rows that were not counted".to_owned());
        }
        if self.archives > 0 {
            let archives = plain(self.archives, "archive", "archives");
            parts.push(format!("drops {archives} after restoring from it"));
        }
        if self.definitions > 0 {
            let definitions = plain(self.definitions, "definition", "definitions");
            parts.push(format!(
                "drops {definitions} that the migration may not bring back"
            ));
        }
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}

/// The question that a figure of rows answers, which is that of their table.
fn rows_of(finding: &Finding) -> Option<&str> {
    let evidence = finding.evidence.as_ref()?;
    evidence.count?;
    evidence.query.as_deref()
}

/// What all findings of a plan come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RiskSummary {
    /// The worst level; `None` where there is nothing to say.
    pub level: Option<Level>,
    /// What goes.
    pub losses: Losses,
    /// Findings by which a step fails.
    pub will_fail: usize,
    /// Findings by which one may.
    pub may_fail: usize,
    /// Findings that cannot be judged.
    pub unknown: usize,
}

impl RiskSummary {
    /// Over the findings of any number of steps.
    pub fn over<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> Self {
        let mut verdict = Self {
            level: None,
            losses: Losses::default(),
            will_fail: 0,
            may_fail: 0,
            unknown: 0,
        };
        let findings: Vec<&Finding> = findings.into_iter().collect();
        // Rows that go with their table are not counted again where they were deleted or changed before, and
        // those of one table are changed once. The question for them is the same.
        let mut counted: BTreeSet<&str> = findings
            .iter()
            .filter(|finding| finding.code == FindingCode::TableDropped)
            .filter_map(|finding| rows_of(finding))
            .collect();
        for finding in findings {
            verdict.level = verdict.level.max(Some(finding.level));
            let is_counted = finding.code == FindingCode::DataReversed
                && finding.level == Level::High
                && rows_of(finding).is_some_and(|rows| !counted.insert(rows));
            if !is_counted {
                verdict.losses.add(finding);
            }
            verdict.will_fail += usize::from(finding.outcome == Some(FailurePrediction::WillFail));
            verdict.may_fail += usize::from(finding.outcome == Some(FailurePrediction::MayFail));
            verdict.unknown += usize::from(finding.level == Level::Unknown);
        }
        verdict
    }

    /// One line: the losses, then what fails and what is not known.
    pub fn sentence(&self) -> String {
        let mut parts: Vec<String> = self.losses.sentence().into_iter().collect();
        let mut count = |number: usize, one: &str, many: &str| {
            if number > 0 {
                parts.push(counted(number as u64, true, one, many));
            }
        };
        count(self.will_fail, "certain failure", "certain failures");
        count(self.may_fail, "possible failure", "possible failures");
        count(
            self.unknown,
            "thing that is not known",
            "things that are not known",
        );
        if parts.is_empty() {
            return "loses nothing".to_owned();
        }
        parts.join("; ")
    }
}

/// What to do about one revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recommendation {
    /// Roll it back.
    RollBack,
    /// Restore a backup from before it.
    Restore,
    /// Leave it and mend by a new migration.
    FixForward,
    /// Look first, and roll back only if it has to be.
    LookFirst,
}

impl Recommendation {
    /// As it is said.
    pub fn words(self) -> &'static str {
        match self {
            Self::RollBack => "roll back",
            Self::Restore => "restore from backup",
            Self::FixForward => "fix forward",
            Self::LookFirst => "look first",
        }
    }
}

/// A way and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// What to do.
    pub recommendation: Recommendation,
    /// Because of what, in one sentence.
    pub reason: String,
}

/// The advice for one revision from its findings.
pub fn advise(findings: &[Finding]) -> Advice {
    let advice = |way, reason: String| Advice {
        recommendation: way,
        reason,
    };
    let with = |code: FindingCode, least: Level| {
        findings
            .iter()
            .find(|finding| finding.code == code && finding.level >= least)
    };
    let verdict = RiskSummary::over(findings);
    if let Some(gone) = with(FindingCode::DataNotRestored, Level::High) {
        return advice(Recommendation::Restore, format!("it {}", gone.sentence));
    }
    let is_certain = |finding: &&Finding| finding.outcome == Some(FailurePrediction::WillFail);
    if let Some(failure) = findings.iter().find(is_certain) {
        return advice(
            Recommendation::FixForward,
            format!("it fails: {}", failure.sentence),
        );
    }
    if let Some(idle) = with(FindingCode::DoesNothing, Level::Low) {
        return advice(Recommendation::FixForward, format!("it {}", idle.sentence));
    }
    if let Some(lost) = findings.iter().find(|finding| is_loss(finding)) {
        return advice(Recommendation::FixForward, format!("it {}", lost.sentence));
    }
    let worst = findings
        .iter()
        .filter(|finding| finding.level >= Level::High || finding.outcome.is_some())
        .max_by_key(|finding| finding.level);
    let reparable = with(FindingCode::ObjectDropped, Level::Medium)
        .or(with(FindingCode::TableDropped, Level::Medium));
    match worst.or(reparable) {
        Some(lost) if lost.level == Level::Medium && lost.outcome.is_none() => {
            advice(Recommendation::RollBack, format!("it {}", lost.sentence))
        }
        Some(open) => advice(Recommendation::LookFirst, format!("it {}", open.sentence)),
        None if verdict.level == Some(Level::Medium) => advice(
            Recommendation::RollBack,
            "nothing is lost that cannot be made again, but others may have to wait".to_owned(),
        ),
        None => advice(Recommendation::RollBack, "nothing is lost".to_owned()),
    }
}

/// Whether data goes by it that is not known to be nothing.
fn is_loss(finding: &Finding) -> bool {
    finding.level == Level::High && finding.code.loses_data()
}

/// The finding that says most about a step: a certain failure, then a loss of data, then by level. Where others
/// only have to wait comes last of its level, and of equals the one that happens first stays.
pub fn most_telling(findings: &[Finding]) -> Option<&Finding> {
    let weight = |finding: &Finding| {
        (
            finding.outcome == Some(FailurePrediction::WillFail),
            is_loss(finding),
            finding.outcome,
            finding.level,
            !finding.code.only_delays(),
        )
    };
    findings.iter().rev().max_by_key(|finding| weight(finding))
}

/// What `--allow` takes for effects that are measured and were not announced. `all` does not include it: nobody agrees in
/// advance to what nobody knows.
pub const UNANNOUNCED: &str = "unannounced";

/// What somebody allows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allowed {
    all: bool,
    unannounced: bool,
    codes: BTreeSet<FindingCode>,
}

impl FromStr for Allowed {
    type Err = NoSuchFinding;

    /// From `CODE,CODE` or `all`.
    fn from_str(text: &str) -> Result<Self, NoSuchFinding> {
        let mut allowed = Self::default();
        for word in text.split(',').map(str::trim) {
            match word {
                "" => {}
                "all" => allowed.all = true,
                UNANNOUNCED => allowed.unannounced = true,
                code => {
                    let code = code.parse();
                    let code = code.map_err(|_| NoSuchFinding::new(word, Some(UNANNOUNCED)))?;
                    allowed.codes.insert(code);
                }
            }
        }
        Ok(allowed)
    }
}

impl Allowed {
    /// Whether effects may be kept that the plan did not announce.
    pub fn covers_unannounced(&self) -> bool {
        self.unannounced
    }

    /// Whether a finding may be.
    pub fn covers(&self, finding: &Finding) -> bool {
        self.all || self.codes.contains(&finding.code)
    }
}

impl fmt::Display for Allowed {
    /// As it is read.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let codes = self.codes.iter().map(ToString::to_string);
        let other = [(self.unannounced, UNANNOUNCED), (self.all, "all")];
        let other = other.iter().filter(|(given, _)| *given);
        let words: Vec<String> = codes
            .chain(other.map(|(_, word)| (*word).to_owned()))
            .collect();
        formatter.write_str(&words.join(","))
    }
}

/// The codes of what has to be allowed and is not: findings whose level is high or unknown. A certain
/// failure is none of them: nobody consents to one, and it is refused in another way.
pub fn to_be_allowed<'a>(
    findings: impl IntoIterator<Item = &'a Finding>,
    allowed: &Allowed,
) -> BTreeSet<FindingCode> {
    findings
        .into_iter()
        .filter(|finding| finding.level >= Level::High && !allowed.covers(finding))
        .filter(|finding| finding.outcome != Some(FailurePrediction::WillFail))
        .map(|finding| finding.code)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rollback_core::finding::Evidence;

    fn finding(code: FindingCode, level: Level, count: Option<u64>) -> Finding {
        Finding {
            code,
            level,
            outcome: None,
            sentence: format!("does {code}"),
            evidence: count.map(|count| Evidence {
                sentence: String::new(),
                count: Some(count),
                exact: true,
                query: None,
                is_told: false,
            }),
            advice: String::new(),
            place: None,
            culprit: None,
        }
    }

    #[test]
    fn losses_are_summed() {
        let mut findings = vec![
            finding(FindingCode::ColumnDropped, Level::High, Some(1_204_000)),
            finding(FindingCode::ColumnDropped, Level::High, Some(331)),
            finding(FindingCode::ColumnDropped, Level::Low, Some(0)),
            finding(FindingCode::TableDropped, Level::High, Some(88)),
            finding(FindingCode::IndexDropped, Level::Low, Some(8192)),
        ];
        let losses = |findings: &[Finding]| RiskSummary::over(findings).losses.sentence().unwrap();
        assert_eq!(
            losses(&findings),
            "drops 1,204,331 values in 2 columns, 1 table with 88 rows"
        );
        findings.push(finding(FindingCode::TableDropped, Level::High, None));
        assert_eq!(
            losses(&findings),
            "drops 1,204,331 values in 2 columns, 1 table with 88 rows, 1 table or column that was not counted"
        );
        findings.clear();
        let mut about = finding(FindingCode::TableDropped, Level::High, Some(5000));
        about.evidence.as_mut().unwrap().exact = false;
        assert_eq!(losses(&[about]), "drops 1 table with about 5,000 rows");
        assert_eq!(RiskSummary::over(&findings).sentence(), "loses nothing");
        assert_eq!(RiskSummary::over(&findings).level, None);
    }

    #[test]
    fn rows_that_a_statement_changes_are_lost_too() {
        let sentence = |findings: &[Finding]| RiskSummary::over(findings).sentence();
        let deleted = finding(FindingCode::DataReversed, Level::High, Some(3));
        assert_eq!(
            sentence(std::slice::from_ref(&deleted)),
            "deletes or changes up to 3 rows"
        );
        let inserted = finding(FindingCode::DataReversed, Level::Medium, None);
        assert_eq!(sentence(&[inserted]), "loses nothing");
        let dropped = finding(FindingCode::TableDropped, Level::High, Some(1));
        let unseen = finding(FindingCode::DataReversed, Level::High, None);
        assert_eq!(
            sentence(&[dropped, deleted, unseen]),
            "drops 1 table with 1 row, deletes or changes up to 3 rows, \
             deletes or changes rows that were not counted"
        );
    }

    #[test]
    fn a_row_is_lost_once() {
        let of = |table: &str, code, count| {
            let mut finding = finding(code, Level::High, Some(count));
            let query = format!("SELECT count(*) FROM {table}");
            finding.evidence.as_mut().unwrap().query = Some(query);
            finding
        };
        let plan = [
            of("tags", FindingCode::DataReversed, 3),
            of("notes", FindingCode::DataReversed, 5),
            of("tags", FindingCode::TableDropped, 3),
            of("notes", FindingCode::DataReversed, 5),
        ];
        assert_eq!(
            RiskSummary::over(&plan).sentence(),
            "drops 1 table with 3 rows, deletes or changes up to 5 rows"
        );
        // Nobody counted these, and they may be others.
        let unseen = [
            finding(FindingCode::DataReversed, Level::High, None),
            finding(FindingCode::DataReversed, Level::High, None),
        ];
        assert_eq!(RiskSummary::over(&unseen).losses.changes_uncounted, 2);
    }

    #[test]
    fn what_is_lost_says_more_than_what_has_to_wait() {
        let mut will = finding(FindingCode::UniqueRestored, Level::High, Some(2));
        will.outcome = Some(FailurePrediction::WillFail);
        let mut may = finding(FindingCode::CheckRestored, Level::Medium, None);
        may.outcome = Some(FailurePrediction::MayFail);
        let loss = finding(FindingCode::ColumnDropped, Level::High, Some(3));
        let waits = finding(FindingCode::TableRewritten, Level::Low, None);
        let empty = finding(FindingCode::ColumnDropped, Level::Low, Some(0));
        let merge = finding(FindingCode::Merge, Level::Low, None);
        let in_order = [&will, &loss, &may, &empty, &waits];
        for (at, most) in in_order.iter().enumerate() {
            let mut rest: Vec<Finding> = in_order[at..]
                .iter()
                .map(|&finding| finding.clone())
                .collect();
            assert_eq!(most_telling(&rest), Some(*most));
            rest.reverse();
            assert_eq!(most_telling(&rest), Some(*most));
        }
        let equals = [merge.clone(), waits];
        assert_eq!(most_telling(&equals), Some(&merge));
        assert_eq!(most_telling(&[]), None);
    }

    #[test]
    fn the_verdict_counts_what_fails() {
        let mut findings = vec![
            finding(FindingCode::ObjectMissing, Level::High, None),
            finding(FindingCode::UnknownCode, Level::Unknown, None),
        ];
        findings[0].outcome = Some(FailurePrediction::WillFail);
        findings[1].outcome = Some(FailurePrediction::MayFail);
        let verdict = RiskSummary::over(&findings);
        assert_eq!(verdict.level, Some(Level::Unknown));
        assert_eq!(
            verdict.sentence(),
            "1 certain failure; 1 possible failure; 1 thing that is not known"
        );
    }

    #[test]
    fn the_advice_follows_the_worst() {
        let way = |findings: &[Finding]| advise(findings).recommendation;
        assert_eq!(way(&[]), Recommendation::RollBack);
        assert_eq!(
            way(&[finding(FindingCode::ColumnDropped, Level::Low, Some(0))]),
            Recommendation::RollBack
        );
        assert_eq!(
            way(&[finding(FindingCode::ColumnDropped, Level::High, Some(3))]),
            Recommendation::FixForward
        );
        assert_eq!(
            way(&[finding(FindingCode::DoesNothing, Level::Medium, None)]),
            Recommendation::FixForward
        );
        assert_eq!(
            way(&[finding(FindingCode::DataNotRestored, Level::High, None)]),
            Recommendation::Restore
        );
        assert_eq!(
            way(&[finding(FindingCode::UnknownCode, Level::Unknown, None)]),
            Recommendation::LookFirst
        );
        let mut failing = finding(FindingCode::UniqueRestored, Level::High, Some(2));
        failing.outcome = Some(FailurePrediction::WillFail);
        assert_eq!(advise(&[failing]).reason, "it fails: does unique-restored");
    }

    /// Turns red if a lost definition or an archive is called nothing, or an archive's rows are called lost.
    #[test]
    fn a_definition_and_an_archive_are_told_apart_from_rows() {
        let archive = finding(FindingCode::TableDropped, Level::Medium, Some(3));
        let function = finding(FindingCode::ObjectDropped, Level::Medium, None);
        assert_eq!(
            RiskSummary::over([&archive, &function]).sentence(),
            "drops 1 archive after restoring from it, drops 1 definition that the migration may not bring back"
        );
        assert_eq!(
            advise(&[function]),
            Advice {
                recommendation: Recommendation::RollBack,
                reason: "it does object-dropped".to_owned(),
            }
        );
    }

    #[test]
    fn what_is_high_or_unknown_has_to_be_allowed() {
        let findings = [
            finding(FindingCode::ColumnDropped, Level::High, Some(3)),
            finding(FindingCode::UnknownCode, Level::Unknown, None),
            finding(FindingCode::IndexDropped, Level::Medium, None),
        ];
        let left = |text: &str| to_be_allowed(&findings, &text.parse().unwrap());
        assert_eq!(
            left(""),
            [FindingCode::ColumnDropped, FindingCode::UnknownCode].into()
        );
        assert_eq!(
            left("column-dropped, merge"),
            [FindingCode::UnknownCode].into()
        );
        assert!(left("all").is_empty());
        let unannounced = |text: &str| text.parse::<Allowed>().unwrap().covers_unannounced();
        assert!(!unannounced("all") && !unannounced("table-dropped"));
        assert!(unannounced("unannounced") && unannounced("all,unannounced"));
        assert!(left("unannounced").contains(&FindingCode::ColumnDropped));
        let shown = |text: &str| text.parse::<Allowed>().unwrap().to_string();
        assert_eq!(
            shown("all,unannounced, type-narrowed,,column-dropped"),
            "column-dropped,type-narrowed,unannounced,all"
        );
        assert_eq!(
            "unanounced".parse::<Allowed>().unwrap_err().to_string(),
            "\"unanounced\" is not a finding; did you mean unannounced?"
        );
    }
}
