use super::file::FILE;
use super::keys::KEYS;
use super::*;
use crate::ui::Format;

fn settled(file: &str, environment: &[(&str, &str)], flags: Layer) -> Result<Layer, Failure> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(FILE), file).unwrap();
    let environment = environment
        .iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    settle(flags, &environment, dir.path(), None)
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let file = "name = 'file'\nversion_table = 'file'\nversion_table_schema = 'file'";
    let environment = [("ROLLBACK_NAME", "env"), ("ROLLBACK_VERSION_TABLE", "env")];
    let flags = Layer {
        name: Some("flag".into()),
        ..Layer::default()
    };
    let settled = settled(file, &environment, flags).unwrap();
    assert_eq!(settled.name.as_deref(), Some("flag"));
    assert_eq!(settled.version_table.as_deref(), Some("env"));
    assert_eq!(settled.version_table_schema.as_deref(), Some("file"));
}

#[test]
fn an_unknown_key_names_the_nearest() {
    let failure = settled("databse_url = 'x'", &[], Layer::default()).unwrap_err();
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
    let settled = settled(file, &[], Layer::default()).unwrap();
    assert_eq!(settled.engine, Some(EngineKind::Sql));
    assert!(settled.migrations.unwrap().ends_with("m"));
    assert_eq!(settled.engine_command.unwrap(), ["alembic"]);
    assert_eq!(settled.process_per_step, Some(true));
    assert_eq!(settled.warm, Some(Warm::Never));
    assert_eq!(settled.timeout, Some(Duration::from_secs(90)));
    assert_eq!(settled.lock_timeout, Some(Duration::ZERO));
    assert_eq!(settled.lock_retries, Some(2));
    assert_eq!(settled.validate, Some(false));
    assert_eq!(settled.format, Some(Format::Json));
    assert_eq!(settled.graph, Some(GraphSource::Files));
    assert_eq!(settled.backup, Some(BackupWhen::Never));
    assert_eq!(settled.on_failure, Some(OnFailure::Restore));
    assert_eq!(KEYS.len(), file.lines().count());
}

#[test]
fn a_check_is_one_thing_at_one_time() {
    let read = |lines: &str| {
        settled(
            &format!("[[check]]\nname = 'c'\n{lines}"),
            &[],
            Layer::default(),
        )
    };
    for good in [
        "sql = 'SELECT 1'\nexpect = 1\nwhen = 'before'",
        "command = 'true'\nwhen = 'after_step'\ntimeout = '5s'",
        "command = ['true']\nwhen = 'after'",
        "url = 'http://h/'\nstatus = 204\nwhen = 'after'",
        "url = 'https://h/'\nwhen = 'after'",
    ] {
        assert_eq!(read(good).unwrap().checks.unwrap().len(), 1, "{good}");
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
    let failure = settled("name = 'n'\nx = [", &[], Layer::default()).unwrap_err();
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
        Layer::default(),
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
    let now = crate::domain::time::moment("2026-11-24T23:00:00.5Z").unwrap();
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
