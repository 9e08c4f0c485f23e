use super::*;

/// A directory with these files; those whose name has `bin/` in it are executable.
fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let file = folder.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, text).unwrap();
        if name.contains("bin/") {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
    folder
}

fn environment(pairs: &[(&str, &str)]) -> Environment {
    pairs
        .iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}

fn look(folder: &tempfile::TempDir, env: &[(&str, &str)]) -> Result<DiscoveredEngine, EngineError> {
    find(&AlembicOptions::default(), folder.path(), &environment(env))
}

#[test]
fn the_directory_shows_the_engine() {
    for (sign, text, env, args) in [
        ("alembic.ini", "", &[][..], &[][..]),
        ("pyproject.toml", "[tool.alembic]\n", &[], &[]),
        ("superset_config.py", "", &[], &["db"]),
        ("x", "", &[("SUPERSET_CONFIG_PATH", "/etc/s.py")], &["db"]),
        ("x", "", &[("FLASK_APP", "superset")], &["db"]),
        ("x", "", &[("ALEMBIC_CONFIG", "/p/a.ini")], &[]),
    ] {
        let folder = directory(&[
            (sign, text),
            (".venv/bin/alembic", ""),
            (".venv/bin/superset", ""),
            (".venv/bin/flask", ""),
        ]);
        let found = look(&folder, env).unwrap();
        assert_eq!(found.args, args, "{sign} {env:?}");
        assert!(found.program.starts_with(folder.path()), "{found:?}");
    }
    let flask = directory(&[
        ("migrations/env.py", ""),
        ("migrations/alembic.ini", ""),
        (".venv/bin/flask", ""),
    ]);
    assert_eq!(look(&flask, &[]).unwrap().style, Style::Flask);
}

#[test]
fn superset_gets_the_application_that_it_needs() {
    let folder = directory(&[("superset_config.py", ""), (".venv/bin/superset", "")]);
    assert_eq!(
        look(&folder, &[]).unwrap().extra_env,
        [("FLASK_APP", "superset")]
    );
    let own = [("FLASK_APP", "superset.app:create_app()")];
    assert_eq!(look(&folder, &own).unwrap().extra_env, []);
}

#[test]
fn a_virtual_environment_is_found_up_to_the_root_of_the_repository() {
    let folder = directory(&[
        (".git/HEAD", ""),
        (".venv/bin/alembic", ""),
        ("api/alembic.ini", ""),
        ("other/bin/alembic", ""),
    ]);
    let api = folder.path().join("api");
    let active = folder.path().join("other");
    let env = environment(&[("VIRTUAL_ENV", active.to_str().unwrap())]);
    let found = find(&AlembicOptions::default(), &api, &env).unwrap();
    assert_eq!(found.program, folder.path().join(".venv/bin/alembic"));
    std::fs::remove_dir_all(folder.path().join(".git")).unwrap();
    let found = find(&AlembicOptions::default(), &api, &env).unwrap();
    assert_eq!(found.program, active.join("bin/alembic"));
    let path = environment(&[("PATH", active.join("bin").to_str().unwrap())]);
    assert_eq!(
        find(&AlembicOptions::default(), &api, &path).unwrap().shown,
        "alembic"
    );
}

#[test]
fn what_is_missing_is_said_with_the_next_command() {
    let nothing = directory(&[("sub/alembic.ini", "")]);
    let error = look(&nothing, &[]).unwrap_err();
    assert!(
        error.summary.starts_with("no migration engine in"),
        "{error}"
    );
    assert!(
        error.hints[0].contains("-C ") && error.hints[0].contains("/sub"),
        "{error:?}"
    );
    let no_program = directory(&[("alembic.ini", "")]);
    assert!(
        look(&no_program, &[])
            .unwrap_err()
            .summary
            .contains("alembic.ini asks for `alembic`")
    );
    let gone = find(
        &AlembicOptions::default(),
        Path::new("/no/such/folder"),
        &environment(&[]),
    );
    assert!(gone.unwrap_err().summary.contains("is not a directory"));
}

#[test]
fn a_named_command_is_taken_as_it_is() {
    let folder = directory(&[("alembic.ini", ""), ("bin/docker", "")]);
    let bin = folder.path().join("bin");
    let env = environment(&[("PATH", bin.to_str().unwrap())]);
    let with = |words: &[&str]| AlembicOptions {
        engine_command: Some(words.iter().map(ToString::to_string).collect()),
        name: Some("two".to_owned()),
        ..AlembicOptions::default()
    };
    let docker = with(&["docker", "compose", "exec", "-T", "api", "alembic"]);
    let found = find(&docker, folder.path(), &env).unwrap();
    assert_eq!((found.style, found.args.len()), (Style::Alembic, 5));
    let flask = with(&["docker", "run", "flask", "db"]);
    let error = find(&flask, folder.path(), &env).unwrap_err();
    assert!(
        error.summary.contains("does not take a section name"),
        "{error}"
    );
    let missing = find(&with(&["podman", "alembic"]), folder.path(), &env).unwrap_err();
    assert!(missing.summary.contains("no program `podman`"), "{missing}");
    let not_executable = find(&with(&["./alembic.ini"]), folder.path(), &env).unwrap_err();
    assert!(
        not_executable.summary.contains("is not executable"),
        "{not_executable}"
    );
    assert!(find(&with(&[]), folder.path(), &env).is_err());
}
