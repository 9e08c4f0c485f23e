use std::time::Duration;

use clap::CommandFactory as _;

use super::file::FILE;
use super::*;
use crate::cli::Cli;
use crate::ui::{ColorChoice, Format};

fn settled(
    file: &str,
    environment: &[(&str, &str)],
    flags: PartialSettings,
) -> Result<Settings, Failure> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(FILE), file).unwrap();
    let environment = environment
        .iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    resolve(flags, &environment, dir.path(), None)
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let file = "name = 'file'\nversion_table = 'file'\nversion_table_schema = 'file'";
    let environment = [("ROLLBACK_NAME", "env"), ("ROLLBACK_VERSION_TABLE", "env")];
    let flags = PartialSettings {
        name: Some("flag".into()),
        ..PartialSettings::default()
    };
    let settled = settled(file, &environment, flags).unwrap();
    assert_eq!(settled.name.as_deref(), Some("flag"));
    assert_eq!(settled.version_table.as_deref(), Some("env"));
    assert_eq!(settled.version_table_schema.as_deref(), Some("file"));
}

/// Red if the text of a default cannot be read.
#[test]
fn what_no_source_has_is_the_default() {
    let settled = PartialSettings::default().or_defaults();
    assert_eq!(settled.lock_limit(), Some(Duration::from_secs(5)));
    assert_eq!(settled.check_budget, Duration::from_secs(2));
    assert_eq!(settled.probe_timeout, Duration::from_secs(10));
    assert!(settled.validate && settled.probe && !settled.strict && !settled.process_per_step);
    assert_eq!(settled.backup, BackupWhen::Auto);
    assert_eq!(settled.on_failure, OnFailure::Stop);
}

/// Red if the new key of an upper source gives way to the replaced key of a lower one, or the other way round.
#[test]
fn warm_counts_where_process_per_step_is_not_set() {
    for (file, expected) in [
        ("warm = 'never'", true),
        ("warm = 'auto'", false),
        ("warm = 'never'\nprocess_per_step = false", false),
        ("warm = 'auto'\nprocess_per_step = true", true),
    ] {
        let settled = settled(file, &[], PartialSettings::default()).unwrap();
        assert_eq!(settled.process_per_step, expected, "{file}");
    }
    let environment = [("ROLLBACK_WARM", "never")];
    let settled = settled(
        "process_per_step = false",
        &environment,
        PartialSettings::default(),
    );
    assert!(!settled.unwrap().process_per_step);
}

#[test]
fn flags_are_read_before_and_after_the_command() {
    let flags = |line: &str| {
        let words = line.split(' ');
        PartialSettings::of_flags(&Cli::command().try_get_matches_from(words).unwrap())
    };
    let several = flags("rollback -x a=1 -n one downgrade-safe -2 -x b=2 -x c=3 --backup -n two");
    assert_eq!(several.x.unwrap(), ["b=2", "c=3"]);
    assert_eq!(several.name.unwrap(), "two");
    assert_eq!(several.backup, Some(BackupWhen::Always));
    assert_eq!((several.validate, several.strict), (None, None));
    let nested = flags("rollback -x a=1 sql --color never snapshot diff a b");
    assert_eq!(
        (nested.x.unwrap(), nested.color),
        (vec!["a=1".to_owned()], Some(ColorChoice::Never))
    );
    let last = flags("rollback plan -1 --no-probe");
    assert_eq!(last.probe, Some(false));
    let last = flags("rollback downgrade-safe -1 --no-validate --validate --backup --no-backup");
    assert_eq!(
        (last.validate, last.backup),
        (Some(true), Some(BackupWhen::Never))
    );
}

#[test]
fn an_unknown_key_names_the_nearest() {
    let failure = settled("databse_url = 'x'", &[], PartialSettings::default()).unwrap_err();
    assert!(failure.message.ends_with("has an unknown key databse_url"));
    assert_eq!(failure.hints, ["did you mean database_url?"]);
}

#[test]
fn every_key_of_the_file_is_known_to_the_check() {
    let file = "engine = 'sql'\nmigrations = 'm'\nhistory_schema = 'h'\nengine_command = 'alembic'\nalembic_config = 'a.ini'\nname = 'n'\nx = ['k=v']\n\
                database_url = 'sqlite:///a'\nversion_table = 't'\nversion_table_schema = 's'\n\
                process_per_step = true\nwarm = 'never'\ntimeout = '90s'\nlock_timeout = 'off'\nlock_retries = 2\nvalidate = false\nstate_dir = 'd'\n\
                graph = 'files'\ncheck_budget = '5s'\nmay_lose_rows = ['t']\nstrict = true\nallow = ['all']\nprobe = false\nprobe_timeout = '3s'\ncheck = []\n\
                environment = 'staging'\npolicy = {}\nbackup = 'never'\nverify_backup = 'restore'\non_failure = 'restore'\naudit = {}\ncolor = 'never'\nformat = 'json'";
    let settled = settled(file, &[], PartialSettings::default()).unwrap();
    assert_eq!(settled.engine, Some(EngineKind::Sql));
    assert!(settled.migrations.unwrap().ends_with("m"));
    assert_eq!(settled.engine_command.unwrap(), ["alembic"]);
    assert!(settled.process_per_step);
    assert_eq!(settled.warm, Some(Warm::Never));
    assert_eq!(settled.timeout, Some(Duration::from_secs(90)));
    assert_eq!(settled.lock_timeout, Duration::ZERO);
    assert_eq!(settled.lock_retries, 2);
    assert!(!settled.validate);
    assert_eq!(settled.format, Format::Json);
    assert_eq!(settled.graph, Some(GraphSource::Files));
    assert_eq!(settled.backup, BackupWhen::Never);
    assert_eq!(settled.on_failure, OnFailure::Restore);
    let keys = SETTINGS.iter().filter(|setting| setting.key.is_some());
    assert_eq!(keys.count(), file.lines().count());
}

#[test]
fn a_check_is_one_thing_at_one_time() {
    let read = |lines: &str| {
        settled(
            &format!("[[check]]\nname = 'c'\n{lines}"),
            &[],
            PartialSettings::default(),
        )
    };
    for good in [
        "sql = 'SELECT 1'\nexpect = 1\nwhen = 'before'",
        "command = 'true'\nwhen = 'after_step'\ntimeout = '5s'",
        "command = ['true']\nwhen = 'after'",
        "url = 'http://h/'\nstatus = 204\nwhen = 'after'",
        "url = 'https://h/'\nwhen = 'after'",
    ] {
        assert_eq!(read(good).unwrap().checks.len(), 1, "{good}");
    }
    for bad in [
        "when = 'before'",
        "sql = 'x'\nurl = 'http://h'\nwhen = 'before'",
        "sql = 'x'\nwhen = 'later'",
        "sql = 'x'",
        "url = 'ftp://h'\nwhen = 'before'",
        "command = []\nwhen = 'before'",
        "url = 'http://h'\nexpect = 1\nwhen = 'before'",
    ] {
        assert!(read(bad).is_err(), "{bad}");
    }
    let failure = read("sqll = 'x'\nwhen = 'before'").unwrap_err();
    assert_eq!(failure.hints, ["did you mean sql?"]);
}

#[test]
fn a_broken_file_is_named_with_the_line() {
    let failure = settled("name = 'n'\nx = [", &[], PartialSettings::default()).unwrap_err();
    assert!(
        failure.message.contains("rollback.toml, line 2: "),
        "{}",
        failure.message
    );
}

#[test]
fn a_url_in_the_file_is_a_secret() {
    let settled = settled(
        "database_url = 'postgresql://u:canary@h/d'",
        &[],
        PartialSettings::default(),
    )
    .unwrap();
    assert!(!format!("{settled:?}").contains("canary"));
}

#[test]
fn durations_are_written_with_their_unit() {
    assert_eq!(duration("1h 30m"), Ok(Duration::from_mins(90)));
    assert!(duration("30").is_err());
    assert!(duration("0s").is_err());
}

#[test]
fn a_lock_may_be_waited_for_without_end() {
    assert_eq!(lock_timeout("off"), Ok(Duration::ZERO));
    assert_eq!(lock_timeout("0"), Ok(Duration::ZERO));
    assert_eq!(lock_timeout("0s"), Ok(Duration::ZERO));
    assert_eq!(lock_timeout("500ms"), Ok(Duration::from_millis(500)));
    assert!(lock_timeout("5").is_err());
}

#[test]
fn a_release_went_out_at_a_moment_or_some_time_ago() {
    let now = rollback_core::time::moment("2026-11-24T23:00:00.5Z").unwrap();
    for (text, moment) in [
        ("2026-11-24T22:56:00Z", "2026-11-24T22:56:00Z"),
        ("2026-11-24T23:56:00+01:00", "2026-11-24T22:56:00Z"),
        ("4m", "2026-11-24T22:56:00Z"),
        ("1h 30m", "2026-11-24T21:30:00Z"),
        ("0s", "2026-11-24T23:00:00Z"),
    ] {
        let at = deployed_at(text).unwrap();
        assert_eq!(at.moment(now), moment, "{text}");
        let later = now + Duration::from_mins(10);
        assert_eq!(at.settled(now).moment(later), moment, "{text}");
    }
    for text in ["", "4", "today", "2026-11-24", "2026-11-24T22:56:00"] {
        assert!(deployed_at(text).is_err(), "{text}");
    }
}
