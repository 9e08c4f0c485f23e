//! The modules of a project: found as Python would find them, read once, and evaluated name by name
//! when a name is asked for.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use ruff_python_ast::name::Name;
use ruff_python_ast::{ExprLambda, StmtFunctionDef};
use ruff_text_size::TextSize;

use super::value::Value;
use python_source::tree::{Source, Tree};
use rollback_core::operation::Place;

/// Packages that are never followed, even if they are in the project's folder: what they do is known here,
/// or is unknown (drivers).
const OUTSIDE: &str = "MySQLdb aiomysql aiosqlite alembic asyncmy asyncpg flask flask_appbuilder flask_migrate \
 flask_sqlalchemy geoalchemy2 mariadb mysql pg8000 pgvector psycopg psycopg2 pymysql sqlalchemy \
 sqlalchemy_utils sqlmodel typing typing_extensions werkzeug";

/// How many files of installed packages are read for one migration, and how large they may be.
const INSTALLED_FILES: usize = 30;
const INSTALLED_BYTES: u64 = 300_000;

/// One file, as one thread looks into it.
#[derive(Debug)]
pub(super) struct Module {
    /// As the engine names it.
    pub(super) file: Arc<str>,
    /// Where it is.
    pub(super) path: PathBuf,
    tree: Arc<Tree>,
    functions: RefCell<HashMap<TextSize, Rc<StmtFunctionDef>>>,
    lambdas: RefCell<HashMap<TextSize, Rc<ExprLambda>>>,
}

impl Deref for Module {
    type Target = Tree;

    fn deref(&self) -> &Tree {
        &self.tree
    }
}

impl Module {
    fn new(file: Arc<str>, path: PathBuf, source: &Source) -> Result<Self, String> {
        Ok(Self {
            file,
            path,
            tree: source.tree()?,
            functions: RefCell::default(),
            lambdas: RefCell::default(),
        })
    }

    /// A function's code, shared.
    pub(super) fn function(&self, code: &StmtFunctionDef) -> Rc<StmtFunctionDef> {
        Rc::clone(
            self.functions
                .borrow_mut()
                .entry(code.range.start())
                .or_insert_with(|| Rc::new(code.clone())),
        )
    }

    /// A lambda's code, shared.
    pub(super) fn lambda(&self, code: &ExprLambda) -> Rc<ExprLambda> {
        Rc::clone(
            self.lambdas
                .borrow_mut()
                .entry(code.range.start())
                .or_insert_with(|| Rc::new(code.clone())),
        )
    }

    /// The place at an offset.
    pub(super) fn place(&self, offset: TextSize) -> Place {
        let (line, column) = self.position(offset.to_u32());
        Place {
            file: Arc::clone(&self.file),
            line,
            column,
        }
    }
}

/// The names of a module as far as they were asked for.
#[derive(Debug)]
pub(super) struct Namespace {
    /// The module.
    pub(super) module: Rc<Module>,
    /// The names.
    pub(super) names: Rc<RefCell<Vec<(Name, Value)>>>,
    /// Which of its statements were run.
    pub(super) ran: RefCell<Vec<bool>>,
}

impl Namespace {
    /// Nothing evaluated yet.
    pub(super) fn new(module: Rc<Module>) -> Rc<Self> {
        let ran = vec![false; module.body.len()];
        Rc::new(Self {
            module,
            names: Rc::default(),
            ran: RefCell::new(ran),
        })
    }

    /// A name that has a value already.
    pub(super) fn known(&self, name: &str) -> Option<Value> {
        let names = self.names.borrow();
        names
            .iter()
            .find(|(own, _)| own.as_str() == name)
            .map(|(_, value)| value.clone())
    }
}

/// A text, read when it is asked for first, or why there is none.
type Book = OnceLock<Result<Source, String>>;

/// The text of the modules that version files import, read once for all threads.
#[derive(Debug, Default)]
pub(super) struct Library {
    known: Mutex<HashMap<PathBuf, Arc<Book>>>,
}

impl Library {
    fn source(&self, path: &Path) -> Result<Source, String> {
        let book = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(known.entry(path.to_owned()).or_default())
        };
        book.get_or_init(|| match rollback_system::files::read(path) {
            Err(error) => Err(format!("it cannot be read: {error}")),
            Ok(bytes) => match String::from_utf8(bytes) {
                Err(_) => Err("it is not UTF-8".to_owned()),
                Ok(text) => Ok(text.into()),
            },
        })
        .clone()
    }
}

/// The modules.
#[derive(Debug)]
pub(super) struct Project {
    roots: RefCell<Vec<PathBuf>>,
    /// Top-level packages of which the roots are known to be the home.
    packages: RefCell<Vec<String>>,
    /// The directories of the scripts, around those of the version files.
    scripts: RefCell<Vec<PathBuf>>,
    /// The directories of version files that were looked at.
    homes: RefCell<Vec<PathBuf>>,
    known: RefCell<HashMap<PathBuf, Result<Rc<Module>, String>>>,
    namespaces: RefCell<HashMap<PathBuf, Rc<Namespace>>>,
    found: RefCell<HashMap<String, Option<PathBuf>>>,
    /// How many files of installed packages were read for the present migration.
    installed: Cell<usize>,
    library: Arc<Library>,
}

impl Project {
    /// A project with its roots.
    pub(super) fn new(roots: &[PathBuf], library: Arc<Library>) -> Self {
        Self {
            roots: RefCell::new(roots.to_vec()),
            packages: RefCell::default(),
            scripts: RefCell::default(),
            homes: RefCell::default(),
            known: RefCell::default(),
            namespaces: RefCell::default(),
            found: RefCell::default(),
            installed: Cell::new(0),
            library,
        }
    }

    /// Makes the package that holds a version file importable.
    pub(super) fn add_home_of(&self, path: &Path) {
        let mut directory = path.parent();
        if let Some(versions) = directory {
            let known = self.homes.borrow().iter().any(|home| home == versions);
            if known {
                return;
            }
            self.homes.borrow_mut().push(versions.to_owned());
            if let Some(scripts) = versions.parent() {
                self.scripts.borrow_mut().push(scripts.to_owned());
            }
        }
        // Version directories are often no packages themselves.
        for _ in 0..2 {
            match directory {
                Some(here) if !here.join("__init__.py").is_file() => directory = here.parent(),
                _ => break,
            }
        }
        let mut top = None;
        while let Some(here) = directory {
            if !here.join("__init__.py").is_file() {
                break;
            }
            top = Some(here);
            directory = here.parent();
        }
        if let Some(top) = top
            && let (Some(root), Some(name)) = (top.parent(), top.file_name())
        {
            let name = name.to_string_lossy().into_owned();
            let mut packages = self.packages.borrow_mut();
            if !packages.contains(&name) {
                packages.push(name);
            }
            let mut roots = self.roots.borrow_mut();
            if !roots.iter().any(|own| own == root) {
                roots.push(root.to_owned());
            }
        }
    }

    /// The file of a module.
    pub(super) fn find(&self, dotted: &str) -> Option<PathBuf> {
        if let Some(found) = self.found.borrow().get(dotted) {
            return found.clone();
        }
        let found = self.search(dotted);
        self.found
            .borrow_mut()
            .insert(dotted.to_owned(), found.clone());
        found
    }

    fn search(&self, dotted: &str) -> Option<PathBuf> {
        let top = dotted.split('.').next().unwrap_or(dotted);
        if dotted.is_empty() || dotted.contains(['/', '\\', '\0']) || is_outside(top) {
            return None;
        }
        let relative: PathBuf = dotted.split('.').collect();
        let roots = self.roots.borrow();
        // Beside an installed package lies everybody else's.
        let mut own = roots.iter().filter(|root| {
            !is_shared(root) || self.packages.borrow().iter().any(|package| package == top)
        });
        let within = own.find_map(|root| file_of(&root.join(&relative)));
        // `env.py` and its like make the directory of the scripts importable.
        let scripts = self.scripts.borrow();
        let beside = || {
            scripts
                .iter()
                .find_map(|scripts| file_of(&scripts.join(&relative)))
        };
        // A namespace package: a folder around the version files has the name.
        let around = || {
            let mut above = scripts
                .iter()
                .flat_map(|scripts| scripts.ancestors().take(6));
            above.find_map(|folder| {
                let is_it = folder.file_name().is_some_and(|name| name == top);
                let root = folder.parent().filter(|_| is_it)?;
                file_of(&root.join(&relative))
            })
        };
        within.or_else(beside).or_else(around)
    }

    /// The file of a module of an installed package.
    pub(super) fn find_installed(&self, dotted: &str) -> Option<PathBuf> {
        let top = dotted.split('.').next().unwrap_or(dotted);
        if dotted.contains(['/', '\\', '\0']) || is_outside(top) {
            return None;
        }
        let relative: PathBuf = dotted.split('.').collect();
        let roots = self.roots.borrow();
        let mut shared = roots.iter().filter(|root| is_shared(root));
        shared.find_map(|root| file_of(&root.join(&relative)))
    }

    /// Whether a file of an installed package is one too many, or too large.
    fn exceeds(&self, path: &Path) -> bool {
        let roots = self.roots.borrow();
        let within = |root: &&PathBuf| is_shared(root) && path.starts_with(root);
        let Some(root) = roots.iter().find(within) else {
            return false;
        };
        let is_own = |package: &String| path.starts_with(root.join(package));
        if self.packages.borrow().iter().any(is_own) {
            return false;
        }
        self.installed.set(self.installed.get() + 1);
        self.installed.get() > INSTALLED_FILES
            || path
                .metadata()
                .is_ok_and(|file| file.len() > INSTALLED_BYTES)
    }

    /// A module relative to another one's file.
    pub(super) fn find_near(&self, file: &Path, level: u32, dotted: &str) -> Option<PathBuf> {
        let mut directory = file.parent()?;
        for _ in 1..level.min(40) {
            directory = directory.parent()?;
        }
        if dotted.is_empty() {
            return Some(directory.join("__init__.py")).filter(|path| path.is_file());
        }
        if dotted.contains(['/', '\\', '\0']) {
            return None;
        }
        file_of(&directory.join(dotted.split('.').collect::<PathBuf>()))
    }

    /// The module in a file.
    pub(super) fn load(&self, path: &Path) -> Result<Rc<Module>, String> {
        if let Some(known) = self.known.borrow().get(path) {
            return known.clone();
        }
        let file: Arc<str> = path.to_string_lossy().into();
        let module = self
            .library
            .source(path)
            .and_then(|source| Module::new(file, path.to_owned(), &source))
            .map(Rc::new);
        self.known
            .borrow_mut()
            .insert(path.to_owned(), module.clone());
        module
    }

    /// The module of a version file, the text of which is at hand.
    pub(super) fn load_version(
        &self,
        path: &Path,
        file: &str,
        source: &Source,
    ) -> Result<Rc<Module>, String> {
        if let Some(known) = self.known.borrow().get(path) {
            return known.clone();
        }
        let module = Module::new(file.into(), path.to_owned(), source).map(Rc::new);
        self.known
            .borrow_mut()
            .insert(path.to_owned(), module.clone());
        module
    }

    /// The names of a module, shared by all that import it.
    pub(super) fn namespace(&self, path: &Path) -> Result<Rc<Namespace>, String> {
        if let Some(namespace) = self.namespaces.borrow().get(path) {
            return Ok(Rc::clone(namespace));
        }
        if self.exceeds(path) {
            return Err("too much of installed packages".to_owned());
        }
        let namespace = Namespace::new(self.load(path)?);
        self.namespaces
            .borrow_mut()
            .insert(path.to_owned(), Rc::clone(&namespace));
        Ok(namespace)
    }

    /// Forgets what modules hold, so that a run begins as Python would.
    pub(super) fn forget(&self) {
        self.installed.set(0);
        for namespace in self.namespaces.borrow_mut().drain() {
            namespace.1.names.borrow_mut().clear();
        }
    }
}

impl Drop for Project {
    /// Functions hold the module that holds them.
    fn drop(&mut self) {
        self.forget();
    }
}

fn is_outside(top: &str) -> bool {
    OUTSIDE.split_ascii_whitespace().any(|own| own == top)
}

/// Whether a root holds the packages of everybody.
fn is_shared(root: &Path) -> bool {
    root.file_name()
        .is_some_and(|name| name == "site-packages" || name == "dist-packages")
}

fn file_of(path: &Path) -> Option<PathBuf> {
    let package = path.join("__init__.py");
    if package.is_file() {
        return Some(package);
    }
    // Not `with_extension`: a module's name may hold a dot's worth of date.
    let mut name = path.file_name()?.to_owned();
    name.push(".py");
    let module = path.with_file_name(name);
    module.is_file().then_some(module)
}
