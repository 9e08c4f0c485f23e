//! Where the version files of a project lie, read off its configuration as Alembic would read it:
//! `alembic.config.Config` and `ScriptDirectory.from_config`.
//!
//! Only what is certain without running code is told. Where a project decides in code, the reason is
//! given instead.

mod config;
mod installed;
mod options;
mod roots;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use self::config::Config;
pub use self::installed::Version;
use self::installed::{ASSUMED, installed, site_packages};
use self::options::{CommandOptions, options};
use self::roots::above_package;
pub use self::roots::roots_of;
use super::discovery::Style;
use super::launcher::{Launch, LaunchTarget};
use super::{AlembicEngine, environment};
use rollback_system::process::Environment;

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

/// The engine and its surroundings, as far as they decide where version files are.
struct EngineEnvironment<'a> {
    dir: &'a Path,
    env: &'a Environment,
    launch: &'a Launch,
    version: Version,
}

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

    /// Where they usually are, for an operator who accepts it: of an engine in a container those
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
                target: LaunchTarget::Script(name.into()),
                args: self.options.clone(),
            }
        });
        let version = installed(&launch.interpreter, "alembic")
            .and_then(|version| Version::parse(&version))
            .unwrap_or(ASSUMED);
        self.surroundings(&launch, version)
            .layout(Some(Path::new("migrations")))
    }

    /// Where the packages are that the engine's interpreter has beside itself, if that is certain.
    pub fn installed_packages(&self) -> Option<PathBuf> {
        site_packages(&self.launch(&self.invocation(&[]))?.interpreter)
    }

    fn surroundings<'a>(&'a self, launch: &'a Launch, version: Version) -> EngineEnvironment<'a> {
        EngineEnvironment {
            dir: &self.dir,
            env: &self.env,
            launch,
            version,
        }
    }
}

impl EngineEnvironment<'_> {
    /// By what the engine is. `flask` is the folder that an application of Flask is taken to use.
    fn layout(&self, flask: Option<&Path>) -> Result<Layout, String> {
        let name = match &self.launch.target {
            LaunchTarget::Script(path) => path.file_name().unwrap_or_default(),
            LaunchTarget::Module(name) => name,
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
        let CommandOptions { configs, section } = options(&self.launch.args)?;
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
        if matches!(self.launch.target, LaunchTarget::Module(_)) {
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

/// Without the dots that say nothing, as Python's paths are.
fn plain(path: &Path) -> PathBuf {
    path.components().collect()
}

#[cfg(test)]
mod tests;
