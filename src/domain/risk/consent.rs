//! What an operator has to say yes to, by name, before a plan is run.

use std::collections::BTreeSet;

use super::{Finding, Foretold, Level};

/// The word for every code.
pub const ALL: &str = "all";

/// What is allowed by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Consent {
    codes: BTreeSet<String>,
}

impl Consent {
    /// To these codes; `all` is to every one.
    pub fn to(codes: impl IntoIterator<Item = String>) -> Self {
        Self {
            codes: codes.into_iter().collect(),
        }
    }

    fn covers(&self, finding: &Finding) -> bool {
        self.codes.contains(ALL) || self.codes.contains(finding.code)
    }

    /// The codes of high and unknown findings that nobody allowed, in alphabetical order. A certain
    /// failure is not a matter of consent: nobody wants one.
    pub fn lacking<'a>(
        &self,
        findings: impl IntoIterator<Item = &'a Finding>,
    ) -> Vec<&'static str> {
        let lacking: BTreeSet<&'static str> = findings
            .into_iter()
            .filter(|finding| finding.level >= Level::High)
            .filter(|finding| finding.outcome != Some(Foretold::WillFail))
            .filter(|finding| !self.covers(finding))
            .map(|finding| finding.code)
            .collect();
        lacking.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(code: &'static str, level: Level) -> Finding {
        Finding {
            code,
            level,
            outcome: None,
            sentence: String::new(),
            evidence: None,
            advice: String::new(),
            place: None,
        }
    }

    #[test]
    fn what_is_high_or_unknown_wants_a_name() {
        let findings = [
            finding("c", Level::Unknown),
            finding("a", Level::High),
            finding("b", Level::Medium),
            finding("a", Level::High),
        ];
        assert_eq!(Consent::default().lacking(&findings), ["a", "c"]);
        assert_eq!(Consent::to(["a".to_owned()]).lacking(&findings), ["c"]);
        assert_eq!(Consent::to([ALL.to_owned()]).lacking(&findings), [""; 0]);
    }
}
