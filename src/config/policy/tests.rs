use std::time::Duration;

use super::*;
use crate::config::file::FILE;
use crate::config::resolve;
use rollback_core::finding_code::FindingCode;

/// The rules that a file and the environment come to, or the sentence of the refusal with its hints.
fn settled(file: &str, environment: &[(&str, &str)]) -> Result<Policy, String> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(FILE), file).unwrap();
    let environment = environment
        .iter()
        .map(|(name, value)| (name.into(), value.into()));
    resolve(
        PartialSettings::default(),
        &environment.collect(),
        dir.path(),
        None,
    )
    .map(|settled| settled.policy)
    .map_err(|failure| format!("{}\n{}", failure.message, failure.hints.join("\n")))
}

const TWO: &str = "[policy]\nrequire_reason = true\nmax_steps = 3\n\
                   [policy.production]\nmax_steps = 1\n[policy.staging]\nrequire_reason = false\n";

#[test]
fn a_key_of_an_environment_replaces_the_key_for_every_one() {
    for (environment, reason, steps, yes) in [
        ("production", true, 1, false),
        ("staging", false, 3, true),
        ("Production", true, 1, false),
    ] {
        let policy = settled(TWO, &[("ROLLBACK_ENVIRONMENT", environment)]).unwrap();
        assert_eq!(policy.require_reason, reason, "{environment}");
        assert_eq!(policy.max_steps, Some(steps), "{environment}");
        assert_eq!(!policy.forbid_yes, yes, "{environment}");
        assert_eq!(policy.undecided, [""; 0], "{environment}");
    }
}

#[test]
fn an_environment_that_no_section_knows_is_refused() {
    let refusal = settled(TWO, &[("ROLLBACK_ENVIRONMENT", "prodution")]).unwrap_err();
    assert!(
        refusal.contains("there is no environment prodution"),
        "{refusal}"
    );
    assert!(refusal.contains("did you mean production?"), "{refusal}");
    let one = settled(
        "[policy.prodution]\n",
        &[("ROLLBACK_ENVIRONMENT", "production")],
    );
    assert!(one.unwrap_err().contains("did you mean prodution?"));
    // Without sections any name will do, except one that is nearly production.
    let free = |name| settled("[policy]\nmax_steps = 3", &[("ROLLBACK_ENVIRONMENT", name)]);
    assert_eq!(free("staging").unwrap().max_steps, Some(3));
    assert!(
        free("prodution")
            .unwrap_err()
            .contains("did you mean production?")
    );
}

#[test]
fn where_sections_are_and_no_name_it_is_asked_for() {
    assert_eq!(
        settled(TWO, &[]).unwrap().undecided,
        ["production", "staging"]
    );
    assert_eq!(
        settled("[policy]\nmax_steps = 3", &[]).unwrap().undecided,
        [""; 0]
    );
}

#[test]
fn production_has_rules_without_a_policy() {
    for name in ["production", "prod"] {
        let policy = settled("", &[("ROLLBACK_ENVIRONMENT", name)]).unwrap();
        assert!(policy.forbid_yes && policy.typed_confirmation, "{name}");
    }
    assert_eq!(settled("", &[]).unwrap(), Policy::default());
    let staging = settled("environment = 'staging'", &[]).unwrap();
    assert!(!staging.forbid_yes && !staging.typed_confirmation);
    let relaxed = "environment = 'prod'\n[policy]\nallow_yes = true\ntyped_confirmation = false";
    let relaxed = settled(relaxed, &[]).unwrap();
    assert!(!relaxed.forbid_yes && !relaxed.typed_confirmation);
}

#[test]
fn no_variable_moves_to_another_environment_than_the_file_names() {
    let file = "environment = 'production'\n[policy.production]\n[policy.staging]\n";
    let refusal = settled(file, &[("ROLLBACK_ENVIRONMENT", "staging")]).unwrap_err();
    assert!(
        refusal.contains("says that this is production"),
        "{refusal}"
    );
    assert!(refusal.contains("--config FILE"), "{refusal}");
    assert!(settled(file, &[("ROLLBACK_ENVIRONMENT", "Production")]).is_ok());
}

#[test]
fn another_file_does_not_switch_a_policy_off_without_a_word() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write(
        FILE,
        "environment = 'production'\n[policy]\nrequire_reason = true\n",
    );
    for (text, expected) in [
        ("", Some("have [policy]")),
        ("[policy]\n", Some("have environment")),
        ("environment = 'staging'\n[policy]\n", None),
    ] {
        write("other.toml", text);
        let by_flag = resolve(
            PartialSettings::default(),
            &[].into(),
            dir.path(),
            Some(Path::new("other.toml")),
        );
        let by_variable = resolve(
            PartialSettings::default(),
            &[("ROLLBACK_CONFIG".into(), "other.toml".into())].into(),
            dir.path(),
            None,
        );
        for settled in [by_flag, by_variable] {
            match (settled, expected) {
                (Ok(settled), None) => assert_eq!(settled.environment.as_deref(), Some("staging")),
                (Err(failure), Some(expected)) => {
                    assert!(failure.message.contains(expected), "{}", failure.message);
                }
                (settled, _) => panic!("{text:?}: {settled:?}"),
            }
        }
    }
}

#[test]
fn every_key_is_known_and_read() {
    let file = "[policy]\nrequire_reason = true\nrequire_incident = true\nrequire_approver = true\n\
                require_backup = 'restored'\nrequire_clean_schema = true\nrequire_validation = true\n\
                windows = ['Mon-Fri 22:00-06:00']\ntimezone = '+01:00'\nmax_steps = 1\nmax_age = '5m'\n\
                deny_level = 'high'\ndeny_codes = ['table-dropped']\nallow_yes = false\ntyped_confirmation = true";
    assert_eq!(Table::KEYS.len(), file.lines().count() - 1);
    let policy = settled(file, &[]).unwrap();
    assert!(policy.require_reason && policy.require_incident && policy.require_approver);
    assert!(policy.require_clean_schema && policy.require_validation);
    assert!(policy.forbid_yes && policy.typed_confirmation);
    assert_eq!(policy.require_backup, Some(Verified::Restored));
    assert_eq!(policy.max_age, Some(Duration::from_mins(5)));
    assert_eq!(policy.deny_level, Some(Level::High));
    assert_eq!(policy.deny_codes, [FindingCode::TableDropped].into());
    let windows = policy.windows.unwrap();
    assert_eq!(windows.to_string(), "Mon-Fri 22:00-06:00 (+01:00)");
    // What a table requires, another one can do without.
    let off = format!(
        "{file}\n[policy.dev]\nrequire_reason = false\nrequire_incident = false\nrequire_approver = false\n\
         require_backup = 'none'\nrequire_clean_schema = false\nrequire_validation = false\nwindows = []\n\
         max_steps = 1000\nmax_age = 'off'\ndeny_level = 'none'\ndeny_codes = []\nallow_yes = true\n\
         typed_confirmation = false"
    );
    let off = settled(&off, &[("ROLLBACK_ENVIRONMENT", "dev")]).unwrap();
    let expected = Policy {
        environment: Some("dev".into()),
        max_steps: Some(1000),
        ..Policy::default()
    };
    assert_eq!(off, expected);
}

#[test]
fn a_mistake_is_told_wherever_the_file_is_read() {
    for (file, expected) in [
        (
            "[policy]\nrequire_reson = true",
            "unknown key require_reson in [policy]",
        ),
        (
            "[policy.staging]\nwindow = ['x']",
            "unknown key window in [policy.staging]",
        ),
        ("[policy]\nrequire_reason = 1", "invalid type"),
        (
            "[policy]\nrequire_backup = 'yes'",
            "read, restored or none, not yes",
        ),
        (
            "[policy.production]\nwindows = ['Mo 1:00-2:00']",
            "[policy.production] windows: \"Mo\" is no day",
        ),
        (
            "[policy.production]\ntimezone = 'Mars/Base'",
            "no zone Mars/Base",
        ),
        ("[policy]\nmax_age = '5'", "max_age: 5 is not a duration"),
        ("[policy]\nmax_steps = -1", "invalid value"),
        ("[policy]\ndeny_level = 'bad'", "not bad"),
        (
            "[policy]\ndeny_codes = ['table-droped']",
            "\"table-droped\" is not a finding; did you mean table-dropped?",
        ),
        ("[policy.prod]\n[policy.Prod]", "prod has two sections"),
        ("policy = 1", "invalid type"),
    ] {
        let refusal = settled(file, &[]).unwrap_err();
        assert!(refusal.contains(expected), "{file}: {refusal}");
    }
}

#[test]
fn a_zone_of_the_machine_has_its_summer() {
    let zone = time_zone("Europe/Berlin").unwrap();
    let noon: jiff::Timestamp = "2026-07-01T12:00:00Z".parse().unwrap();
    assert_eq!(noon.to_zoned(zone).hour(), 14);
}

#[test]
fn the_fixture_uses_every_key_and_is_strict_in_production() {
    let file = include_str!("../../../fixtures/policy/rollback.toml");
    for key in Table::KEYS {
        let is_set = |line: &str| line.starts_with(&format!("{key} = "));
        assert!(file.lines().any(is_set), "{key}");
    }
    let policy = settled(file, &[("ROLLBACK_ENVIRONMENT", "production")]).unwrap();
    assert_eq!(policy.max_steps, Some(1));
    assert_eq!(policy.require_backup, Some(Verified::Restored));
    let windows = policy.windows.unwrap();
    let open = |moment: &str| windows.are_open(moment.parse().unwrap());
    // A Tuesday night in Berlin, and a Friday night.
    assert!(open("2026-11-24T22:00:00Z") && !open("2026-11-27T22:00:00Z"));
    let development = settled(file, &[("ROLLBACK_ENVIRONMENT", "development")]).unwrap();
    assert!(!development.require_reason && development.require_validation);
}
