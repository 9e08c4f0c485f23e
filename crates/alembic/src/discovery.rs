//! Which engine a project uses and where its program is. Starts nothing.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::AlembicOptions;
use rollback_core::engine::EngineError;
use rollback_system::process::{Environment, find_program, is_executable};

/// A command line up to where Alembic's verbs begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiscoveredEngine {
    /// The file that is started.
    pub program: PathBuf,
    /// Its first arguments.
    pub args: Vec<OsString>,
    /// The program as one would type it in the project's directory.
    pub shown: String,
    /// How options are placed.
    pub style: Style,
    /// Variables that the engine needs and the environment lacks.
    pub extra_env: Vec<(&'static str, &'static str)>,
}

/// Whose command line it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// `alembic [-c FILE] [-n NAME] [-x K=V] VERB`.
    Alembic,
    /// `flask db [-x K=V] VERB`.
    Flask,
}

const ANY_COMMAND: &str =
    "name the engine, such as `--engine-command 'docker compose exec -T api alembic'`";

/// Finds the engine by the settings, else by what the directory shows.
pub fn find(
    settings: &AlembicOptions,
    dir: &Path,
    env: &Environment,
) -> Result<DiscoveredEngine, EngineError> {
    if !dir.is_dir() {
        return Err(error(
            format!("{} is not a directory", dir.display()),
            vec!["name the project's directory with `-C DIR`".to_owned()],
        ));
    }
    let found = match &settings.engine_command {
        Some(words) => named(words, dir, env)?,
        None => shown_by_directory(settings, dir, env)?,
    };
    if found.style == Style::Flask {
        let refused = [
            (
                "a configuration file (`alembic_config`, -c)",
                settings.alembic_config.is_some(),
            ),
            ("a section name (-n)", settings.name.is_some()),
        ];
        if let Some((what, _)) = refused.iter().find(|(_, set)| *set) {
            return Err(error(
                format!("`{}` does not take {what}", found.shown_with_args()),
                vec![
                    "leave it out; of several databases, env.py can choose one by an argument of its own: -x KEY=VALUE"
                        .to_owned(),
                ],
            ));
        }
    }
    Ok(found)
}

impl DiscoveredEngine {
    /// The command line so far, as one would type it.
    pub fn shown_with_args(&self) -> String {
        let args = self
            .args
            .iter()
            .map(|arg| arg.to_string_lossy().into_owned());
        std::iter::once(self.shown.clone())
            .chain(args)
            .collect::<Vec<_>>()
            .join(" ")
    }
}

/// Whether the settings or the directory show that there is one, whether or not its program is there.
pub fn is_shown(settings: &AlembicOptions, dir: &Path, env: &Environment) -> bool {
    settings.engine_command.is_some()
        || sign(settings, dir, env).is_some()
        || application(dir, env).is_some() && uses_flask_migrate(dir)
}

fn named(words: &[String], dir: &Path, env: &Environment) -> Result<DiscoveredEngine, EngineError> {
    let Some((name, args)) = words.split_first().filter(|(name, _)| !name.is_empty()) else {
        return Err(error(
            "the engine command is empty".to_owned(),
            vec![ANY_COMMAND.to_owned()],
        ));
    };
    let program = find_program(OsStr::new(name), dir, env_path(env))
        .or_else(|| beside_project(name, dir, env));
    let Some(program) = program else {
        let place = if name.contains('/') {
            format!("there is no file {}", dir.join(name).display())
        } else {
            format!("no program `{name}` was found on PATH, in .venv or in VIRTUAL_ENV")
        };
        return Err(error(
            format!(
                "the engine command `{}` cannot be started: {place}",
                words.join(" ")
            ),
            vec![format!(
                "see whether `command -v {name}` finds it, or name its full path"
            )],
        ));
    };
    checked(&program)?;
    let style = if words.last().is_some_and(|word| word == "db") {
        Style::Flask
    } else {
        Style::Alembic
    };
    let args = args.iter().map(OsString::from).collect();
    Ok(DiscoveredEngine {
        program,
        args,
        shown: name.clone(),
        style,
        extra_env: Vec::new(),
    })
}

fn shown_by_directory(
    settings: &AlembicOptions,
    dir: &Path,
    env: &Environment,
) -> Result<DiscoveredEngine, EngineError> {
    let (sign, name, verb) = sign(settings, dir, env)
        .or_else(|| application(dir, env).map(|sign| (sign, "flask", Some("db"))))
        .ok_or_else(|| nothing_found(dir))?;
    let program = beside_project(name, dir, env)
        .or_else(|| find_program(OsStr::new(name), dir, env_path(env)))
        .ok_or_else(|| {
            error(
                format!(
                    "{sign} asks for `{name}`, but no such program was found in .venv/bin, in \
                     VIRTUAL_ENV or on PATH"
                ),
                vec![
                    format!("activate the environment that has it, so that `{name} --help` works"),
                    ANY_COMMAND.to_owned(),
                ],
            )
        })?;
    checked(&program)?;
    let on_path = find_program(OsStr::new(name), dir, env_path(env)).as_ref() == Some(&program);
    let shown = if on_path {
        name.to_owned()
    } else {
        program.display().to_string()
    };
    let needs_app = name == "superset" && !env.contains_key(OsStr::new("FLASK_APP"));
    Ok(DiscoveredEngine {
        shown,
        program,
        args: verb.iter().map(OsString::from).collect(),
        style: if verb.is_some() {
            Style::Flask
        } else {
            Style::Alembic
        },
        extra_env: if needs_app {
            vec![("FLASK_APP", "superset")]
        } else {
            Vec::new()
        },
    })
}

/// What the directory shows: the sign for people, the program, the group of its verbs.
fn sign(
    settings: &AlembicOptions,
    dir: &Path,
    env: &Environment,
) -> Option<(&'static str, &'static str, Option<&'static str>)> {
    let set = |name: &str| env.get(OsStr::new(name)).filter(|value| !value.is_empty());
    let app = set("FLASK_APP")
        .map(|app| app.to_string_lossy().into_owned())
        .unwrap_or_default();
    let is_superset =
        app == "superset" || app.starts_with("superset.") || app.starts_with("superset:");
    let alembic = [
        (
            "the setting for Alembic's configuration",
            settings.alembic_config.is_some(),
        ),
        ("alembic.ini", dir.join("alembic.ini").is_file()),
        ("ALEMBIC_CONFIG", set("ALEMBIC_CONFIG").is_some()),
        (
            "[tool.alembic] in pyproject.toml",
            has_tool_alembic(&dir.join("pyproject.toml")),
        ),
    ];
    let superset = [
        ("FLASK_APP=superset", is_superset),
        (
            "superset_config.py",
            dir.join("superset_config.py").is_file(),
        ),
        (
            "SUPERSET_CONFIG_PATH",
            set("SUPERSET_CONFIG_PATH").is_some(),
        ),
        ("SUPERSET_CONFIG", set("SUPERSET_CONFIG").is_some()),
    ];
    let migrations = dir.join("migrations");
    let flask = [(
        "the Flask-Migrate folder migrations/",
        migrations.join("env.py").is_file() && migrations.join("alembic.ini").is_file(),
    )];
    let first = |signs: &[(&'static str, bool)]| {
        signs
            .iter()
            .find(|(_, shown)| *shown)
            .map(|(sign, _)| *sign)
    };
    first(&alembic)
        .map(|sign| (sign, "alembic", None))
        .or_else(|| first(&superset).map(|sign| (sign, "superset", Some("db"))))
        .or_else(|| first(&flask).map(|sign| (sign, "flask", Some("db"))))
}

/// What shows that `flask` would find an application here, which may keep its migrations in any folder. Only the
/// application itself knows: `flask db` is asked.
fn application(dir: &Path, env: &Environment) -> Option<&'static str> {
    let named = env
        .get(OsStr::new("FLASK_APP"))
        .is_some_and(|app| !app.is_empty());
    let in_file = || {
        let text = std::fs::read_to_string(dir.join(".flaskenv")).unwrap_or_default();
        text.lines().any(|line| {
            let line = line.trim_start();
            let line = line.strip_prefix("export ").unwrap_or(line);
            line.trim_start().starts_with("FLASK_APP")
        })
    };
    // The files that `flask` takes by itself, which frameworks of other kinds have as well.
    let usual = || {
        ["app.py", "wsgi.py"]
            .iter()
            .any(|file| dir.join(file).is_file())
    };
    if named {
        Some("FLASK_APP")
    } else if in_file() {
        Some("FLASK_APP in .flaskenv")
    } else if usual() && uses_flask_migrate(dir) {
        Some("the application of Flask-Migrate in app.py or wsgi.py")
    } else {
        None
    }
}

/// More files are not read to find out what a project uses.
const MOST_FILES: usize = 300;
/// Nor larger ones.
const LARGEST_FILE: u64 = 512 << 10;

/// Whether a Python file in this directory, or in a folder of it, names Flask-Migrate.
fn uses_flask_migrate(dir: &Path) -> bool {
    let python = |folder: &Path| -> Vec<PathBuf> {
        let mut files = subfolders(folder);
        files.retain(|file| file.extension() == Some(OsStr::new("py")));
        files
    };
    let folders = subfolders(dir).into_iter().filter(|folder| {
        let name = folder.file_name().and_then(OsStr::to_str).unwrap_or(".");
        !name.starts_with('.') && !["venv", "env", "node_modules"].contains(&name)
    });
    let files = python(dir)
        .into_iter()
        .chain(folders.flat_map(|folder| python(&folder)));
    files.take(MOST_FILES).any(|file| {
        std::fs::metadata(&file).is_ok_and(|about| about.is_file() && about.len() <= LARGEST_FILE)
            && std::fs::read(&file).is_ok_and(|text| {
                let name = b"flask_migrate";
                text.windows(name.len()).any(|found| found == name)
            })
    })
}

fn has_tool_alembic(file: &Path) -> bool {
    let Ok(text) = rollback_system::files::read_text(file) else {
        return false;
    };
    text.parse::<toml::Table>().is_ok_and(|table| {
        table
            .get("tool")
            .and_then(|tool| tool.get("alembic"))
            .is_some_and(toml::Value::is_table)
    })
}

fn env_path(env: &Environment) -> Option<&OsStr> {
    env.get(OsStr::new("PATH")).map(OsString::as_os_str)
}

/// The program in the project's `.venv`, in this directory or above it up to the root of the
/// repository, else in the active virtual environment.
fn beside_project(name: &str, dir: &Path, env: &Environment) -> Option<PathBuf> {
    if name.contains('/') {
        return None;
    }
    let mut folders = vec![dir.join(".venv/bin")];
    if let Some(root) = dir
        .ancestors()
        .position(|folder| folder.join(".git").exists())
    {
        folders.extend(
            dir.ancestors()
                .take(root + 1)
                .skip(1)
                .map(|above| above.join(".venv/bin")),
        );
    }
    if let Some(active) = env
        .get(OsStr::new("VIRTUAL_ENV"))
        .filter(|value| !value.is_empty())
    {
        folders.push(dir.join(active).join("bin"));
    }
    folders
        .into_iter()
        .map(|folder| folder.join(name))
        .find(|file| is_executable(file))
}

fn checked(program: &Path) -> Result<(), EngineError> {
    if is_executable(program) {
        return Ok(());
    }
    Err(error(
        format!("{} is not executable", program.display()),
        vec![format!("make it so with `chmod +x {}`", program.display())],
    ))
}

fn nothing_found(dir: &Path) -> EngineError {
    let mut hints = Vec::new();
    let near = dir
        .ancestors()
        .skip(1)
        .map(Path::to_owned)
        .chain(subfolders(dir));
    if let Some(project) = near
        .into_iter()
        .find(|near| near.join("alembic.ini").is_file())
    {
        // Flask-Migrate keeps its ini inside the folder that it is run beside.
        let inside = project.file_name() == Some(OsStr::new("migrations"));
        let project = if inside {
            project.parent().unwrap_or(dir)
        } else {
            &project
        };
        hints.push(format!(
            "there is one in {0}: try `-C {0}`",
            project.display()
        ));
    } else {
        hints.push("run rollback in the project's directory, or name it with `-C DIR`".to_owned());
    }
    if uses_flask_migrate(dir) {
        hints.push(
            "for Flask-Migrate, set FLASK_APP to the application, or name its command: --engine-command 'flask db'"
                .to_owned(),
        );
    }
    hints.push(ANY_COMMAND.to_owned());
    error(
        format!(
            "no migration engine in {}: looked for alembic.ini, [tool.alembic] in pyproject.toml, \
             ALEMBIC_CONFIG, FLASK_APP, .flaskenv, superset_config.py, SUPERSET_CONFIG_PATH and a \
             Flask-Migrate folder migrations/",
            dir.display()
        ),
        hints,
    )
}

fn subfolders(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    folders.sort();
    folders
}

fn error(summary: String, hints: Vec<String>) -> EngineError {
    EngineError {
        summary,
        stdout: String::new(),
        stderr: String::new(),
        hints,
    }
}

#[cfg(test)]
mod tests;
