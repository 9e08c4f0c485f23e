//! Where the version files of a project lie, read off its configuration as Alembic would read it:
//! `alembic.config.Config` and `ScriptDirectory.from_config`.
//!
//! Only what is certain without running code is told. Where a project decides in code, the reason is
//! given instead.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

use super::AlembicEngine;
use super::discovery::Style;
use super::environment;
use super::ini::{self, Ini};
use super::launcher::{Launch, Target};
use crate::domain::revision::Revision;
use crate::process::Environment;

/// Where version files lie and how they are listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// The script directory, which has `env.py`.
    pub directory: PathBuf,
    /// The folders of version files, absolute.
    pub locations: Vec<PathBuf>,
    /// Whether folders in them count.
    pub recursive: bool,
    /// Whether compiled files count.
    pub sourceless: bool,
    /// Where modules of the project are imported from.
    pub roots: Vec<PathBuf>,
    /// Whether the connection may commit each statement by itself, as far as env.py and the configuration tell.
    pub may_autocommit: bool,
    /// Alembic's version.
    pub version: Version,
}

/// A version of Alembic's, whole and as numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// `1.16.5`.
    pub text: String,
    /// 1 and 16.
    numbers: (u32, u32),
}

impl Version {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split('.').map(str::parse);
        let numbers = (numbers.next()?.ok()?, numbers.next()?.ok()?);
        Some(Self {
            text: text.to_owned(),
            numbers,
        })
    }

    /// Whether `pyproject.toml` and `path_separator` are read.
    fn reads_pyproject(&self) -> bool {
        self.numbers >= (1, 16)
    }

    /// Whether files are listed by name: before, as the file system has them, and without recursion.
    fn lists_by_name(&self) -> bool {
        self.numbers >= (1, 10)
    }
}

/// The engine and its surroundings, as far as they decide where version files are.
struct Surroundings<'a> {
    dir: &'a Path,
    env: &'a Environment,
    launch: &'a Launch,
    version: Version,
}

/// The release whose rules hold where none is to be seen.
const ASSUMED: Version = Version {
    text: String::new(),
    numbers: (1, 20),
};

impl AlembicEngine {
    /// Where the version files are that the engine would load; else why that is not certain.
    pub fn layout(&self) -> Result<Layout, String> {
        let launch = self.launch(&self.invocation(&[])).ok_or(
            "the engine does not run under a Python of this machine, as far as can be seen",
        )?;
        let version = installed(&launch.interpreter, "alembic")
            .and_then(|version| Version::parse(&version))
            .ok_or("Alembic is not installed beside the engine's Python")?;
        if !version.lists_by_name() {
            return Err(format!(
                "Alembic {} loads version files in an order of its own",
                version.text
            ));
        }
        self.surroundings(&launch, version).layout(None)
    }

    /// Where they usually are, for an operator who vouches for it: of an engine in a container those
    /// of the project here, of Flask-Migrate those of its usual folder.
    pub fn assumed_layout(&self) -> Result<Layout, String> {
        let launch = self.launch(&self.invocation(&[])).unwrap_or_else(|| {
            let name = match self.found.style {
                Style::Alembic => "alembic",
                Style::Flask => "flask",
            };
            Launch {
                interpreter: PathBuf::new(),
                flags: Vec::new(),
                target: Target::Script(name.into()),
                args: self.options.clone(),
            }
        });
        let version = installed(&launch.interpreter, "alembic")
            .and_then(|version| Version::parse(&version))
            .unwrap_or(ASSUMED);
        self.surroundings(&launch, version)
            .layout(Some(Path::new("migrations")))
    }

    fn surroundings<'a>(&'a self, launch: &'a Launch, version: Version) -> Surroundings<'a> {
        Surroundings {
            dir: &self.dir,
            env: &self.env,
            launch,
            version,
        }
    }
}

impl Surroundings<'_> {
    /// By what the engine is. `flask` is the folder that an application of Flask is taken to use.
    fn layout(&self, flask: Option<&Path>) -> Result<Layout, String> {
        let name = match &self.launch.target {
            Target::Script(path) => path.file_name().unwrap_or_default(),
            Target::Module(name) => name,
        };
        match (name.to_str(), flask) {
            (Some("alembic"), _) => self.alembic(),
            (Some("superset"), _) => self.superset(),
            (Some("flask"), Some(directory)) => self.flask(directory),
            (Some("flask"), None) => {
                Err("an application of Flask says in code where its version files are".to_owned())
            }
            _ => Err(format!(
                "`{}` is no engine whose version files are known",
                name.to_string_lossy()
            )),
        }
    }

    fn alembic(&self) -> Result<Layout, String> {
        let Options { configs, section } = options(&self.launch.args)?;
        let is_toml = |file: &Path| file.file_name() == Some(OsStr::new("pyproject.toml"));
        let mut ini = PathBuf::from("alembic.ini");
        let mut toml = PathBuf::from("pyproject.toml");
        let from_env = self.env.get(OsStr::new("ALEMBIC_CONFIG"));
        let from_env = from_env.filter(|file| !file.is_empty()).map(PathBuf::from);
        for file in from_env.into_iter().chain(configs) {
            if self.version.reads_pyproject() && is_toml(&file) {
                toml = file;
            } else {
                ini = file;
            }
        }
        let toml = self.version.reads_pyproject().then_some(toml);
        let config = Config::read(self.dir, Some(&ini), toml.as_deref(), &section)?;
        self.described(&config, None)
    }

    /// Superset hands the folder in its own package to Flask-Migrate.
    fn superset(&self) -> Result<Layout, String> {
        if self.launch.args != ["db"] {
            return Err("the engine's command line has options of its own".into());
        }
        let package = self
            .module("superset")
            .ok_or("the package superset is not beside the engine's Python")?;
        self.flask(&package.join("migrations"))
    }

    fn flask(&self, directory: &Path) -> Result<Layout, String> {
        let ini = directory.join("alembic.ini");
        if !self.dir.join(&ini).is_file() {
            return Err(format!("there is no {}", ini.display()));
        }
        let config = Config::read(self.dir, Some(&ini), None, "alembic")?;
        self.described(&config, Some(directory))
    }

    fn described(&self, config: &Config, directory: Option<&Path>) -> Result<Layout, String> {
        let modern = self.version.reads_pyproject();
        let mut roots: Vec<PathBuf> = Vec::new();
        let mut add = |root: PathBuf| {
            if !roots.contains(&root) {
                roots.push(root);
            }
        };
        for root in config.paths("prepend_sys_path", modern, true)? {
            add(plain(&self.dir.join(root)));
        }
        if matches!(self.launch.target, Target::Module(_)) {
            add(self.dir.to_owned());
        }
        for root in self.python_path() {
            add(root);
        }
        let directory = if let Some(directory) = directory {
            self.dir.join(directory)
        } else {
            let location = config
                .text("script_location")?
                .ok_or("no script_location is configured")?;
            self.place(&location, &roots)?
        };
        let locations = config.paths("version_locations", modern, false)?;
        let locations = if locations.is_empty() {
            vec![directory.join("versions")]
        } else {
            locations
                .iter()
                .map(|location| self.place(location, &roots))
                .collect::<Result<_, _>>()?
        };
        let above = above_package(&directory);
        if !roots.contains(&above) {
            roots.push(above);
        }
        let may_autocommit =
            environment::may_autocommit(&directory, config.texts.iter().map(String::as_str));
        Ok(Layout {
            directory,
            locations,
            recursive: config.flag("recursive_version_locations")?,
            sourceless: config.flag("sourceless")?,
            roots,
            may_autocommit,
            version: self.version.clone(),
        })
    }

    /// A folder by its path, or as `package:folder`.
    fn place(&self, location: &str, roots: &[PathBuf]) -> Result<PathBuf, String> {
        if location.starts_with('/') || !location.contains(':') {
            return Ok(self.dir.join(location));
        }
        let mut parts = location.split(':');
        let package = parts.next().unwrap_or_default();
        let folder = package.replace('.', "/");
        let within = roots
            .iter()
            .map(|root| root.join(&folder))
            .find(|found| found.join("__init__.py").is_file());
        let found = within
            .or_else(|| self.module(&folder))
            .ok_or_else(|| format!("the package {package} of {location} was not found"))?;
        Ok(parts.fold(found, |found, part| found.join(part)))
    }

    /// A package that is installed beside the interpreter.
    fn module(&self, folder: &str) -> Option<PathBuf> {
        site_packages(&self.launch.interpreter)
            .map(|site| site.join(folder))
            .filter(|found| found.join("__init__.py").is_file())
    }

    fn python_path(&self) -> Vec<PathBuf> {
        let path = self.env.get(OsStr::new("PYTHONPATH"));
        path.into_iter()
            .flat_map(std::env::split_paths)
            .filter(|root| !root.as_os_str().is_empty())
            .map(|root| self.dir.join(root))
            .collect()
    }
}

/// `Alembic -c FILE -n NAME -x K=V`, without what says nothing about files.
#[derive(Debug, Default)]
struct Options {
    configs: Vec<PathBuf>,
    section: String,
}

fn options(args: &[OsString]) -> Result<Options, String> {
    let mut found = Options {
        configs: Vec::new(),
        section: "alembic".to_owned(),
    };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let text = arg.to_string_lossy();
        let (name, glued) = match text.split_once('=') {
            Some((name, value)) if name.starts_with("--") => {
                (name.to_owned(), Some(value.to_owned()))
            }
            _ if text.len() > 2 && text.starts_with('-') && !text.starts_with("--") => (
                text.chars().take(2).collect(),
                Some(text.chars().skip(2).collect()),
            ),
            _ => (text.to_string(), None),
        };
        let mut value = || {
            let following = glued.clone().or_else(|| {
                args.next()
                    .map(|value| value.to_string_lossy().into_owned())
            });
            following.ok_or_else(|| format!("{name} lacks its value"))
        };
        match name.as_str() {
            "-c" | "--config" => found.configs.push(PathBuf::from(value()?)),
            "-n" | "--name" => found.section = value()?,
            "-x" => {
                value()?;
            }
            "--raiseerr" | "-q" | "--quiet" => {}
            _ => return Err(format!("the engine's command line has the option {name}")),
        }
    }
    Ok(found)
}

/// What the two files say; the first wins.
struct Config {
    ini: Option<(Ini, String)>,
    section: String,
    toml: Option<(toml::Table, String)>,
    /// Both as they are.
    texts: Vec<String>,
}

impl Config {
    fn read(
        dir: &Path,
        ini: Option<&Path>,
        toml: Option<&Path>,
        section: &str,
    ) -> Result<Self, String> {
        let text = |file: &Path| {
            let path = dir.join(file);
            match fs::read_to_string(&path) {
                Ok(text) => Ok(Some((text, here(&path)?))),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(format!("{} cannot be read: {error}", file.display())),
            }
        };
        let named = |file: &Path| {
            let file = file.display().to_string();
            move |reason: String| format!("{file} cannot be read: {reason}")
        };
        let mut texts = Vec::new();
        let ini = match ini {
            Some(file) => text(file)?
                .map(|(text, here)| {
                    texts.push(text.clone());
                    Ini::parse(&text)
                        .map(|ini| (ini, here))
                        .map_err(named(file))
                })
                .transpose()?,
            None => None,
        };
        let toml = match toml {
            Some(file) => text(file)?
                .map(|(text, here)| {
                    texts.push(text.clone());
                    let table = text.parse::<toml::Table>();
                    table
                        .map(|table| (tool_alembic(table), here))
                        .map_err(|error| named(file)(error.message().to_owned()))
                })
                .transpose()?,
            None => None,
        };
        Ok(Self {
            ini,
            section: section.to_owned(),
            toml,
            texts,
        })
    }

    fn said_by_ini(&self, name: &str) -> Result<Option<String>, String> {
        match &self.ini {
            Some((ini, here)) => ini.get(&self.section, name, here),
            None => Ok(None),
        }
    }

    fn said_by_toml(&self, name: &str) -> Option<(&toml::Value, &str)> {
        let (table, here) = self.toml.as_ref()?;
        Some((table.get(name)?, here))
    }

    fn text(&self, name: &str) -> Result<Option<String>, String> {
        if let Some(text) = self.said_by_ini(name)? {
            return Ok(Some(text));
        }
        match self.said_by_toml(name) {
            Some((toml::Value::String(text), here)) => formatted(text, here).map(Some),
            Some(_) => Err(format!("{name} is no text")),
            None => Ok(None),
        }
    }

    fn flag(&self, name: &str) -> Result<bool, String> {
        if let Some(text) = self.said_by_ini(name)? {
            return Ok(text == "true");
        }
        match self.said_by_toml(name) {
            Some((toml::Value::Boolean(flag), _)) => Ok(*flag),
            Some(_) => Err(format!("{name} is neither true nor false")),
            None => Ok(false),
        }
    }

    /// A list of paths. Without a separator the older ways of splitting hold.
    fn paths(&self, name: &str, modern: bool, colons: bool) -> Result<Vec<String>, String> {
        let Some(text) = self.said_by_ini(name)?.filter(|text| !text.is_empty()) else {
            return match self.said_by_toml(name) {
                Some((toml::Value::Array(items), here)) => items
                    .iter()
                    .map(|item| match item {
                        toml::Value::String(text) => formatted(text, here),
                        _ => Err(format!("{name} is no list of texts")),
                    })
                    .collect(),
                Some(_) => Err(format!("{name} is no list")),
                None => Ok(Vec::new()),
            };
        };
        let mut separator = None;
        if modern {
            separator = self.said_by_ini("path_separator")?;
        }
        if separator.is_none() && !colons {
            separator = self.said_by_ini("version_path_separator")?;
        }
        let separator = match separator.as_deref() {
            None => return split_as_of_old(&text, colons),
            Some("space") => ' ',
            Some("newline") => '\n',
            Some("os" | ":") => ':',
            Some(";") => ';',
            Some(other) => return Err(format!("{other:?} is no separator of paths")),
        };
        Ok(text
            .split(separator)
            .filter(|part| !part.is_empty())
            .map(|part| part.trim().to_owned())
            .collect())
    }
}

fn split_as_of_old(text: &str, colons: bool) -> Result<Vec<String>, String> {
    let pattern = if colons {
        r", *|(?: +)|:"
    } else {
        r", *|(?: +)"
    };
    let pattern = Regex::new(pattern).map_err(|error| error.to_string())?;
    Ok(pattern.split(text).map(str::to_owned).collect())
}

fn formatted(text: &str, here: &str) -> Result<String, String> {
    ini::interpolate(text, |name| match name {
        "here" => Ok(here.to_owned()),
        name => Err(format!("{name} is not known")),
    })
}

fn tool_alembic(mut table: toml::Table) -> toml::Table {
    let tool = table.get_mut("tool").and_then(toml::Value::as_table_mut);
    match tool.and_then(|tool| tool.remove("alembic")) {
        Some(toml::Value::Table(table)) => table,
        _ => toml::Table::new(),
    }
}

/// The folder of a file.
fn here(file: &Path) -> Result<String, String> {
    let folder = plain(file.parent().unwrap_or(file));
    let folder = folder.into_os_string().into_string();
    folder.map_err(|_| "the name of the project's folder is no text".to_owned())
}

/// Without the dots that say nothing, as Python's paths are.
fn plain(path: &Path) -> PathBuf {
    path.components().collect()
}

/// Where modules are imported from, as far as it shows in where version files lie.
pub fn roots_of(revisions: &[Revision]) -> Vec<PathBuf> {
    let mut roots: Vec<PathBuf> = Vec::new();
    let paths = revisions.iter().filter_map(|one| one.path.as_deref());
    for folder in paths.filter_map(|path| Path::new(path).parent()) {
        let directory = match folder.parent() {
            Some(above) if folder.file_name() == Some(OsStr::new("versions")) => above,
            _ => folder,
        };
        let root = above_package(directory);
        if !roots.contains(&root) {
            roots.push(root);
        }
    }
    roots
}

/// The folder from which the module that a script directory is, or lies in, is imported.
fn above_package(directory: &Path) -> PathBuf {
    let is_package = |folder: &Path| folder.join("__init__.py").is_file();
    let mut folder = directory;
    if !is_package(folder) {
        folder = folder.parent().unwrap_or(folder);
    }
    while is_package(folder)
        && let Some(above) = folder.parent()
    {
        folder = above;
    }
    folder.to_owned()
}

/// Where packages are installed for an interpreter of a virtual environment.
fn site_packages(interpreter: &Path) -> Option<PathBuf> {
    let environment = interpreter.parent()?.parent()?;
    if !environment.join("pyvenv.cfg").is_file() {
        return None;
    }
    let mut found = fs::read_dir(environment.join("lib"))
        .ok()?
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("python"))
        .map(|entry| entry.path().join("site-packages"))
        .filter(|site| site.is_dir());
    let first = found.next()?;
    // Two releases of Python in one environment: which one is started is not to be seen.
    found.next().is_none().then_some(first)
}

/// The version of a package beside an interpreter, as its installer has noted it.
fn installed(interpreter: &Path, package: &str) -> Option<String> {
    let notes = fs::read_dir(site_packages(interpreter)?).ok()?;
    let mut versions = notes.flatten().filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let (found, version) = name.strip_suffix(".dist-info")?.split_once('-')?;
        (found == package).then(|| version.to_owned())
    });
    let first = versions.next()?;
    versions.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests;
