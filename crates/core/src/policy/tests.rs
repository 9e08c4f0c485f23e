use jiff::tz::TimeZone;
use proptest::collection::btree_set;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::lock::Operator;

/// Everything is required.
fn strict() -> Policy {
    Policy {
        environment: Some("production".into()),
        undecided: Vec::new(),
        require_reason: true,
        require_incident: true,
        require_approver: true,
        require_backup: Some(Verified::Restored),
        windows: Some(nights()),
        require_clean_schema: true,
        require_validation: true,
        max_steps: Some(2),
        max_age: Some(Duration::from_mins(5)),
        deny_level: Some(Level::High),
        deny_codes: [FindingCode::TableDropped].into(),
        forbid_yes: true,
        typed_confirmation: true,
    }
}

fn nights() -> Windows {
    Windows::parse(&["Mon-Fri 22:00-06:00".to_owned()], TimeZone::UTC, "UTC").unwrap()
}

/// Everything is there.
fn good() -> Situation {
    Situation {
        circumstances: RunContext {
            environment: Some("production".into()),
            reason: Some("orders fail".into()),
            incident: Some("INC-7".into()),
            approved_by: Some("grace".into()),
            deployed_at: Some("2026-11-24T22:56:00Z".into()),
        },
        operator: Operator {
            user: "ada".into(),
            host: "db1".into(),
            pid: 7,
        },
        consent: ConsentSource::Terminal,
        steps: 2,
        level: Some(Level::Medium),
        codes: [FindingCode::IndexDropped].into(),
        backup: Some(Verified::Restored),
        validate: true,
        faults: Some(Vec::new()),
        now: "2026-11-24T23:00:00Z".parse().unwrap(),
    }
}

/// Nothing is there.
fn bad() -> Situation {
    Situation {
        circumstances: RunContext::default(),
        consent: ConsentSource::Yes,
        steps: 3,
        level: Some(Level::Unknown),
        codes: [FindingCode::TableDropped, FindingCode::UnknownCode].into(),
        backup: None,
        validate: false,
        faults: Some(vec!["index i of t is not valid".into()]),
        now: "2026-11-24T12:00:00Z".parse().unwrap(),
        ..good()
    }
}

/// The sentence of what is missing, `None` where nothing is.
fn missing(policy: &Policy, situation: &Situation) -> Option<String> {
    let ruling = policy.decide(situation);
    let told: Vec<String> = ruling
        .missing()
        .map(|point| {
            let remedy = point.remedy.as_deref().unwrap_or("nothing helps");
            format!("{}: {} -> {remedy}", point.code, point.sentence)
        })
        .collect();
    (!told.is_empty()).then(|| told.join("\n"))
}

#[test]
fn no_rule_no_point() {
    for situation in [good(), bad()] {
        let ruling = Policy::default().decide(&situation);
        assert!(ruling.points.is_empty(), "{ruling:?}");
        assert!(ruling.is_met());
    }
}

#[test]
fn what_is_met_is_told_too() {
    let ruling = strict().decide(&good());
    assert!(ruling.is_met());
    let told: Vec<&str> = ruling
        .points
        .iter()
        .map(|point| point.sentence.as_str())
        .collect();
    assert_eq!(
        told,
        [
            "a reason is required; orders fail",
            "the record of an incident is required; INC-7",
            "another person than ada has to have approved; grace",
            "a backup that is restored beside the database and compared with it is required first; it will be made",
            "a maintenance window has to be open: Mon-Fri 22:00-06:00 (UTC); it is Tue 2026-11-24 23:00",
            "nothing may be left over from before, and nothing be at fault in data and indexes; nothing was found",
            "the database has to be looked at after each step; it will be",
            "at most 2 steps may be taken back; the plan has 2 steps",
            "the release may be at most 5m old; it went out 4m ago",
            "no finding may be high or worse; the worst is medium",
            "these findings are refused: table-dropped; the plan has none of them",
            "a person has to consent at a terminal; there will be a question",
        ]
    );
}

#[test]
fn all_that_is_missing_is_told_at_once_with_what_to_give() {
    let told = missing(&strict(), &bad()).unwrap();
    let told: Vec<&str> = told.lines().collect();
    assert_eq!(
        told,
        [
            "reason: a reason is required; none is given -> --reason <text>",
            "incident: the record of an incident is required; none is named -> --incident <id>",
            "approver: another person than ada has to have approved; nobody is named -> --approved-by <name>",
            "backup: a backup that is restored beside the database and compared with it is required first; none will be made -> --backup --verify-backup restore",
            "window: a maintenance window has to be open: Mon-Fri 22:00-06:00 (UTC); it is Tue 2026-11-24 12:00 -> wait until Tue 2026-11-24 22:00 (UTC)",
            "clean-schema: nothing may be left over from before, and nothing be at fault in data and indexes; index i of t is not valid -> clear away what was found",
            "validation: the database has to be looked at after each step; validation is switched off -> --validate",
            "steps: at most 2 steps may be taken back; the plan has 3 steps -> take a nearer target, such as -2",
            "age: the release may be at most 5m old; it is not said when it went out -> --deployed-at <time>",
            "level: no finding may be high or worse; the worst is unknown -> fix forward with a new migration, or restore a backup",
            "codes: these findings are refused: table-dropped; the plan has table-dropped -> fix forward with a new migration, or restore a backup",
            "consent: a person has to consent at a terminal; -y was given -> leave -y away and answer the question, or have allow_yes = true set in the policy",
        ]
    );
}

/// A change to the good situation, and the one sentence that it makes; `None` where it is still good.
#[test]
fn each_situation_has_its_ruling() {
    type Change = fn(&mut Situation);
    let cases: [(Change, Option<&str>); 24] = [
        (|_| {}, None),
        (|s| s.circumstances.reason = None, Some("none is given")),
        (
            |s| s.circumstances.reason = Some("  ".into()),
            Some("none is given"),
        ),
        (|s| s.circumstances.incident = None, Some("none is named")),
        (
            |s| s.circumstances.approved_by = None,
            Some("nobody is named"),
        ),
        (
            |s| s.circumstances.approved_by = Some("Ada ".into()),
            Some("Ada is the same person"),
        ),
        (
            |s| s.circumstances.approved_by = Some("ada@example.com".into()),
            Some("ada@example.com is the same person"),
        ),
        (|s| s.backup = None, Some("none will be made")),
        (
            |s| s.backup = Some(Verified::Read),
            Some("it will only be read back"),
        ),
        (
            |s| {
                s.now = "2026-11-25T06:00:00Z".parse().unwrap();
                s.circumstances.deployed_at = Some("2026-11-25T05:59:00Z".into());
            },
            Some("it is Wed 2026-11-25 06:00"),
        ),
        (|s| s.faults = None, Some("it could not be looked for")),
        (|s| s.validate = false, Some("validation is switched off")),
        (|s| s.steps = 3, Some("the plan has 3 steps")),
        (|s| s.steps = 1, None),
        (
            |s| s.circumstances.deployed_at = None,
            Some("it is not said when it went out"),
        ),
        (
            |s| s.circumstances.deployed_at = Some("yesterday".into()),
            Some("it is not said when it went out"),
        ),
        (
            |s| s.circumstances.deployed_at = Some("2026-11-24T22:55:00Z".into()),
            None,
        ),
        (
            |s| s.circumstances.deployed_at = Some("2026-11-24T22:54:59Z".into()),
            Some("it went out 5m 1s ago"),
        ),
        (
            |s| s.circumstances.deployed_at = Some("2026-11-24T23:00:59Z".into()),
            None,
        ),
        (
            |s| s.circumstances.deployed_at = Some("2026-11-24T23:01:01Z".into()),
            Some("2026-11-24T23:01:01Z has not come yet"),
        ),
        (|s| s.level = None, None),
        (|s| s.level = Some(Level::High), Some("the worst is high")),
        (
            |s| {
                s.codes.insert(FindingCode::TableDropped);
            },
            Some("the plan has table-dropped"),
        ),
        (|s| s.consent = ConsentSource::Yes, Some("-y was given")),
    ];
    for (index, (change, expected)) in cases.into_iter().enumerate() {
        let mut situation = good();
        change(&mut situation);
        let told = missing(&strict(), &situation);
        match (&told, expected) {
            (None, None) => {}
            (Some(told), Some(expected)) => {
                assert!(
                    told.contains(expected) && !told.contains('\n'),
                    "{index}: {told}"
                );
            }
            _ => panic!("{index}: {told:?}, expected {expected:?}"),
        }
    }
}

#[test]
fn what_nobody_could_read_has_no_code_that_may_be() {
    let policy = Policy {
        deny_codes: [FindingCode::TableDropped].into(),
        ..Policy::default()
    };
    let mut situation = good();
    situation.codes.clear();
    situation.level = Some(Level::Unknown);
    let told = missing(&policy, &situation).unwrap();
    assert!(
        told.contains("the steps could not be looked into"),
        "{told}"
    );
}

#[test]
fn an_environment_that_nobody_names_is_missing() {
    let policy = Policy {
        undecided: vec!["production".into(), "staging".into()],
        ..Policy::default()
    };
    assert_eq!(
        missing(&policy, &good()).as_deref(),
        Some(
            "environment: it has to be said which environment this is, one of production, staging; nothing says so -> --environment <name>"
        )
    );
}

#[test]
fn who_only_goes_forward_takes_no_step_back() {
    let policy = Policy {
        max_steps: Some(0),
        ..Policy::default()
    };
    assert!(
        missing(&policy, &good())
            .unwrap()
            .contains("-> fix forward")
    );
}

fn level() -> impl Strategy<Value = Level> {
    select(vec![Level::Low, Level::Medium, Level::High, Level::Unknown])
}

fn verified() -> impl Strategy<Value = Verified> {
    select(vec![Verified::Read, Verified::Restored])
}

fn codes() -> impl Strategy<Value = BTreeSet<FindingCode>> {
    btree_set(
        select(vec![
            FindingCode::TableDropped,
            FindingCode::IndexDropped,
            FindingCode::UnknownCode,
        ]),
        0..3,
    )
}

fn name() -> impl Strategy<Value = Option<String>> {
    option::of(select(vec!["ada", "Ada", "grace", "", " ", "ada@b"]).prop_map(str::to_owned))
}

prop_compose! {
    fn policies()(
        flags in prop::array::uniform7(any::<bool>()),
        undecided in prop::bool::weighted(0.1),
        require_backup in option::of(verified()),
        max_steps in option::of(0..4_usize),
        max_age in option::of(0..600_u64),
        deny_level in option::of(level()),
        deny_codes in codes(),
    ) -> Policy {
        Policy {
            environment: None,
            undecided: if undecided { vec!["production".into()] } else { Vec::new() },
            require_reason: flags[0],
            require_incident: flags[1],
            require_approver: flags[2],
            require_backup,
            windows: flags[3].then(nights),
            require_clean_schema: flags[4],
            require_validation: flags[5],
            max_steps,
            max_age: max_age.map(Duration::from_secs),
            deny_level,
            deny_codes,
            forbid_yes: flags[6],
            typed_confirmation: false,
        }
    }
}

prop_compose! {
    fn situations()(
        (reason, incident, approved_by) in (name(), name(), name()),
        age in option::of(-300..900_i64),
        (yes, validate) in any::<(bool, bool)>(),
        steps in 1..5_usize,
        level in option::of(level()),
        codes in codes(),
        backup in option::of(verified()),
        faults in option::of(0..3_usize),
        hour in 0..168_i64,
    ) -> Situation {
        let start: jiff::Timestamp = "2026-11-23T00:00:00Z".parse().unwrap();
        let now = start + jiff::SignedDuration::from_hours(hour);
        let deployed = age.map(|age| (now - jiff::SignedDuration::from_secs(age)).to_string());
        Situation {
            circumstances: RunContext {
                environment: None,
                reason,
                incident,
                approved_by,
                deployed_at: deployed,
            },
            consent: if yes { ConsentSource::Yes } else { ConsentSource::Terminal },
            steps,
            level,
            codes,
            backup,
            validate,
            faults: faults.map(|number| vec!["fault".to_owned(); number]),
            now,
            ..good()
        }
    }
}

/// What a policy requires, written another way: straight from the situation, without a point.
fn is_wanting(policy: &Policy, situation: &Situation) -> bool {
    let said = &situation.circumstances;
    let blank = |text: &Option<String>| text.as_deref().unwrap_or("").trim().is_empty();
    let hour = (situation.now.as_second() / 3600) % 24;
    // 1970-01-01 was a Thursday: the days of the nights are found by counting from there.
    let opened = (situation.now.as_second() / 3600 - 22).div_euclid(24) + 3;
    let in_a_night = !(6..22).contains(&hour) && opened.rem_euclid(7) < 5;
    let age = said.deployed_at.as_deref().map(|at| {
        let at: jiff::Timestamp = at.parse().unwrap();
        situation.now.as_second() - at.as_second()
    });
    [
        !policy.undecided.is_empty(),
        policy.require_reason && blank(&said.reason),
        policy.require_incident && blank(&said.incident),
        policy.require_approver
            && said
                .approved_by
                .as_deref()
                .is_none_or(|name| name != "grace"),
        policy.require_backup.is_some() && situation.backup < policy.require_backup,
        policy.windows.is_some() && !in_a_night,
        policy.require_clean_schema
            && situation
                .faults
                .as_ref()
                .is_none_or(|faults| !faults.is_empty()),
        policy.require_validation && !situation.validate,
        policy.max_steps.is_some_and(|most| situation.steps > most),
        policy.max_age.is_some_and(|most| {
            age.is_none_or(|age| age < -60 || age > i64::try_from(most.as_secs()).unwrap())
        }),
        policy.deny_level.is_some() && situation.level >= policy.deny_level,
        !policy.deny_codes.is_disjoint(&situation.codes),
        !policy.deny_codes.is_empty()
            && situation.codes.is_empty()
            && situation.level == Some(Level::Unknown),
        policy.forbid_yes && situation.consent == ConsentSource::Yes,
    ]
    .contains(&true)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_goes_through_that_lacks_what_is_required(policy in policies(), situation in situations()) {
        let ruling = policy.decide(&situation);
        prop_assert_eq!(ruling.is_met(), !is_wanting(&policy, &situation), "{:?}", ruling);
        for point in &ruling.points {
            prop_assert!(point.met != point.remedy.is_some(), "{:?}", point);
        }
    }
}
