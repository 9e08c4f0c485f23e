//! Where Alembic would look, by the configuration that it would read.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::Write as _;

use super::super::{output, version_files};
use super::*;
use rollback_core::revision::Revision;

/// A project beside an environment in which this release of Alembic is installed.
struct Project {
    home: tempfile::TempDir,
    version: &'static str,
}

impl Project {
    fn new(files: &[(&str, &str)]) -> Self {
        let home = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = home.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Self {
            home,
            version: "1.20.1",
        }
    }

    fn of(mut self, version: &'static str) -> Self {
        self.version = version;
        self
    }

    /// The locations and, behind a bar, the roots, relative to the project.
    fn read(&self, args: &[&str], env: &[(&str, &str)]) -> Result<String, String> {
        let launch = Launch {
            interpreter: self.home.path().join(".venv/bin/python"),
            flags: Vec::new(),
            target: LaunchTarget::Script("alembic".into()),
            args: args.iter().map(OsString::from).collect(),
        };
        let env = env
            .iter()
            .map(|(name, value)| (OsString::from(name), OsString::from(value)))
            .collect::<BTreeMap<_, _>>();
        let layout = EngineEnvironment {
            dir: self.home.path(),
            env: &env,
            launch: &launch,
            version: Version::parse(self.version).unwrap(),
        }
        .alembic()?;
        let relative = |path: &PathBuf| {
            let path = path.strip_prefix(self.home.path()).unwrap_or(path);
            match path.to_str().unwrap() {
                "" => ".".to_owned(),
                path => path.to_owned(),
            }
        };
        let list = |paths: &[PathBuf]| paths.iter().map(relative).collect::<Vec<_>>().join(" ");
        let deep = if layout.recursive { " and below" } else { "" };
        Ok(format!(
            "{}{deep} | {}",
            list(&layout.locations),
            list(&layout.roots)
        ))
    }

    fn plainly(&self) -> Result<String, String> {
        self.read(&[], &[])
    }
}

#[test]
fn an_ini_file() {
    for (text, expected) in [
        ("script_location = migrations", "migrations/versions | ."),
        (
            "script_location = %(here)s/migrations\nprepend_sys_path = .",
            "migrations/versions | .",
        ),
        (
            "script_location = m\nprepend_sys_path = src:lib, x",
            "m/versions | src lib x .",
        ),
        (
            "script_location = m\nprepend_sys_path = src, x:y\npath_separator = os",
            "m/versions | src, x y .",
        ),
        (
            "script_location = m\nversion_locations = a b, c",
            "a b c | .",
        ),
        (
            "script_location = m\nversion_locations = a:%(here)s/b\npath_separator = os",
            "a b | .",
        ),
        (
            "script_location = m\nversion_locations = a;b\nversion_path_separator = ;",
            "a b | .",
        ),
        (
            "script_location = m\nversion_locations =\n  a x\n  b\npath_separator = newline",
            "a x b | .",
        ),
        (
            "script_location = m\nrecursive_version_locations = true",
            "m/versions and below | .",
        ),
        (
            "script_location = m\nrecursive_version_locations = True",
            "m/versions | .",
        ),
        ("script_location = app:db", "src/app/db/versions | src"),
    ] {
        let project = Project::new(&[
            ("alembic.ini", &format!("[alembic]\n{text}\n")),
            (".venv/pyvenv.cfg", ""),
            (".venv/lib/python3.11/site-packages/x.txt", ""),
            ("src/app/__init__.py", ""),
        ]);
        let env: &[(&str, &str)] = if text.contains("app:db") {
            &[("PYTHONPATH", "src")]
        } else {
            &[]
        };
        assert_eq!(project.read(&[], env).unwrap(), expected, "{text}");
    }
}

#[test]
fn what_alembic_would_not_take() {
    for (text, expected) in [
        ("[alembic]\nx = 1", "no script_location is configured"),
        (
            "[other]\nscript_location = m",
            "no script_location is configured",
        ),
        (
            "[alembic]\nscript_location = m\nversion_locations = a\nversion_path_separator = os  # x",
            "\"os  # x\" is no separator of paths",
        ),
        (
            "[alembic]\nscript_location = 50%",
            "a % of \"50%\" means nothing",
        ),
        (
            "[alembic]\nscript_location = app:db",
            "the package app of app:db was not found",
        ),
        (
            "nonsense",
            "alembic.ini cannot be read: line 1: it stands in no section",
        ),
    ] {
        let project = Project::new(&[("alembic.ini", text)]);
        assert_eq!(project.plainly().unwrap_err(), expected, "{text}");
    }
    assert_eq!(
        Project::new(&[]).plainly().unwrap_err(),
        "no script_location is configured"
    );
}

#[test]
fn the_ini_file_and_the_section_are_named() {
    let files = [
        (
            "alembic.ini",
            "[alembic]\nscript_location = m\n[two]\nscript_location = %(here)s/n\n",
        ),
        (
            "db/other.ini",
            "[alembic]\nscript_location = %(here)s/m\n[two]\nscript_location = n\n",
        ),
    ];
    let project = Project::new(&files);
    let read = |args: &[&str], env: &[(&str, &str)]| project.read(args, env).unwrap();
    assert_eq!(read(&["-n", "two"], &[]), "n/versions | .");
    assert_eq!(read(&["-c", "db/other.ini"], &[]), "db/m/versions | db");
    assert_eq!(
        read(&["--config=db/other.ini", "-ntwo", "-x", "a=b"], &[]),
        "n/versions | ."
    );
    assert_eq!(
        read(&[], &[("ALEMBIC_CONFIG", "db/other.ini")]),
        "db/m/versions | db"
    );
    assert_eq!(
        project.read(&["--sql"], &[]).unwrap_err(),
        "the engine's command line has the option --sql"
    );
}

#[test]
fn pyproject() {
    let toml = "[tool.alembic]\nscript_location = \"%(here)s/m\"\nprepend_sys_path = [\"src\"]\n\
                version_locations = [\"%(here)s/a\", \"b\"]\nrecursive_version_locations = true\n";
    let project = Project::new(&[("pyproject.toml", toml)]);
    assert_eq!(project.plainly().unwrap(), "a b and below | src .");
    let both = Project::new(&[
        ("pyproject.toml", toml),
        (
            "alembic.ini",
            "[alembic]\nscript_location = n\nversion_locations =\n",
        ),
    ]);
    assert_eq!(both.plainly().unwrap(), "a b and below | src .");
    assert_eq!(both.of("1.13.3").plainly().unwrap(), "n/versions | .");
}

#[test]
fn modules_are_imported_from_above_the_package() {
    let project = Project::new(&[
        (
            "alembic.ini",
            "[alembic]\nscript_location = src/app/db/migrations\n",
        ),
        ("src/app/__init__.py", ""),
        ("src/app/db/__init__.py", ""),
        ("src/app/db/migrations/env.py", ""),
    ]);
    assert_eq!(
        project.plainly().unwrap(),
        "src/app/db/migrations/versions | src"
    );
}

#[test]
fn the_release_that_is_installed() {
    let project = Project::new(&[
        (".venv/pyvenv.cfg", ""),
        (
            ".venv/lib/python3.11/site-packages/alembic-1.13.3.dist-info/METADATA",
            "",
        ),
        (
            ".venv/lib/python3.11/site-packages/alembic_utils-0.8.dist-info/METADATA",
            "",
        ),
    ]);
    let python = project.home.path().join(".venv/bin/python");
    assert_eq!(installed(&python, "alembic").as_deref(), Some("1.13.3"));
    assert_eq!(installed(&python, "sqlalchemy"), None);
    assert_eq!(installed(Path::new("/usr/bin/python3"), "alembic"), None);
}

/// Turns red where the files of a real history are read as another one than its engine prints. Needs
/// the environment that `make test` sets up.
#[test]
fn superset_tells_the_same_history_as_its_files() {
    let source = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let python = source.join(".cache/python/superset/bin/python");
    if !python.exists() {
        // Set by `make test`, which installs it.
        assert!(std::env::var_os("ROLLBACK_TEST_WHOLE").is_none());
        return;
    }
    let launch = Launch {
        target: LaunchTarget::Script(python.with_file_name("superset")),
        interpreter: python,
        flags: Vec::new(),
        args: vec!["db".into()],
    };
    let env = BTreeMap::new();
    let layout = EngineEnvironment {
        dir: source,
        env: &env,
        version: Version::parse(&installed(&launch.interpreter, "alembic").unwrap()).unwrap(),
        launch: &launch,
    }
    .layout(None)
    .unwrap();
    let begun = std::time::Instant::now();
    let files = version_files::read(&layout).unwrap();
    // Told, never asserted: machines differ.
    #[expect(clippy::disallowed_methods, reason = "a test tells its runner")]
    let _ = writeln!(
        std::io::stderr(),
        "{} version files of Superset in {} ms",
        files.files.len(),
        begun.elapsed().as_millis()
    );
    let printed = fs::read_to_string(
        source.join("fixtures/transcripts/superset-6.1.0/superset.history-verbose.stdout"),
    )
    .unwrap();
    let told = output::history(&printed).unwrap();
    let links = |revisions: &[Revision]| {
        let links = |one: &Revision| {
            (
                one.id.clone(),
                one.down_revisions.clone(),
                one.message
                    .lines()
                    .map(|line| line.trim().to_owned())
                    .collect::<Vec<_>>(),
                one.created.clone(),
            )
        };
        revisions.iter().map(links).collect::<Vec<_>>()
    };
    assert_eq!(files.files.len(), 344);
    assert_eq!(links(&files.revisions()), links(&told));
    let site = layout.directory.parent().unwrap().parent().unwrap();
    assert_eq!(layout.roots, [site]);
}
