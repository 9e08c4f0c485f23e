//! One throw-away server: private directory, socket and port.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::statvfs::statvfs;
use nix::unistd::{AccessFlags, access};
use rollback_core::connection::ConnectionFacts;
use rollback_core::secret::Secret;

use tempfile::TempDir;

use super::supervisor::{Commands, ServerSupervisor};
use super::{Kind, TestDatabase, database, mariadb, mysql, postgres};

/// Owner of everything.
pub(crate) const USER: &str = "rollback";

/// Holds what has to be escaped in a URL, in SQL, in an ini file or in a shell.
pub(crate) const PASSWORD: &str = "s3cret@:/#%41 '\"\\?&=+$x";

/// How long a server may take to answer on a busy machine.
const START_TIMEOUT: Duration = Duration::from_secs(40);

/// A running (or stopped) server. Dropping it ends it and removes its directory.
pub(crate) struct Server {
    kind: Kind,
    directory: PathBuf,
    port: u16,
    supervisor: Mutex<ServerSupervisor>,
}

impl Server {
    /// The server that all tests of this binary share. Never stop it: take a private one for that.
    pub(crate) fn shared(kind: Kind) -> &'static Self {
        static POSTGRES: OnceLock<Server> = OnceLock::new();
        static MARIADB: OnceLock<Server> = OnceLock::new();
        static MYSQL: OnceLock<Server> = OnceLock::new();
        match kind {
            Kind::PostgreSql => &POSTGRES,
            Kind::MariaDb => &MARIADB,
            Kind::MySql => &MYSQL,
            Kind::Sqlite => panic!("SQLite has no server"),
        }
        .get_or_init(|| Self::start(kind))
    }

    /// A private server, running when this returns.
    pub(crate) fn start(kind: Kind) -> Self {
        // Not the configured directory: the path of a socket has a limit of 107 bytes, and another
        // user has to get there.
        let directory = tempfile::Builder::new()
            .prefix("rollback-server-")
            .tempdir_in(place())
            .unwrap();
        // Whoever takes the port between now and the start makes the start fail; nobody else asks for
        // ports in this way so soon after.
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let commands = match kind {
            Kind::PostgreSql => postgres::commands(directory.path(), port),
            Kind::MariaDb | Kind::MySql if kind.is_mysql() => {
                mysql::commands(directory.path(), port)
            }
            Kind::MariaDb | Kind::MySql => mariadb::commands(directory.path(), port),
            Kind::Sqlite => panic!("SQLite has no server"),
        };
        Self::with(kind, directory, port, &commands)
    }

    fn with(kind: Kind, directory: TempDir, port: u16, commands: &Commands) -> Self {
        let user = match kind {
            Kind::PostgreSql => user_for_servers(directory.path(), "postgres"),
            // Its programs may be in a folder that no other user may enter.
            kind if kind.is_mysql() => None,
            _ => user_for_servers(directory.path(), "mysql"),
        };
        let mut supervisor = ServerSupervisor::new(directory.path().to_owned(), commands, user);
        // From here on the supervisor removes it.
        let directory = directory.keep();
        let status = supervisor.tell("fill");
        assert_eq!(
            status,
            "0",
            "the {kind:?} server cannot be prepared:\n{}",
            supervisor.log()
        );
        let server = Self {
            kind,
            directory,
            port,
            supervisor: Mutex::new(supervisor),
        };
        server.start_again();
        server
    }

    /// Starts it again after `stop` or `kill9`, on the same port and socket.
    pub(crate) fn start_again(&self) {
        self.tell("start");
        let deadline = Instant::now() + START_TIMEOUT;
        while let Err(error) = database::try_query(self.kind, &self.admin(), "SELECT 1") {
            assert!(
                Instant::now() < deadline,
                "the {:?} server does not start: {error}\n{}",
                self.kind,
                self.log()
            );
            sleep(Duration::from_millis(50));
            if self.tell("alive") == "no" {
                // The helpers of a server that was killed need a moment to notice, and as long as
                // they hold its memory no other one starts.
                self.tell("start");
            }
        }
    }

    /// Stops it in an orderly way: its clients are told.
    pub(crate) fn stop(&self) {
        self.tell("stop");
    }

    /// Ends it as a crash of the machine would.
    pub(crate) fn kill9(&self) {
        self.tell("kill");
    }

    /// Everything that it has logged, for a failing test.
    pub(crate) fn log(&self) -> String {
        self.supervisor
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .log()
    }

    /// A new, empty database that goes with the returned value.
    pub(crate) fn create_database(&self) -> TestDatabase<'_> {
        TestDatabase::on(self)
    }

    /// The same with a name that another server may have as well.
    pub(crate) fn create_database_named(&self, name: &str) -> TestDatabase<'_> {
        TestDatabase::named(self, name.to_owned())
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Data, socket and log.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// PostgreSQL: the directory; MariaDB: the file.
    pub(crate) fn socket(&self) -> String {
        match self.kind {
            kind if kind.is_mysql() => mysql::socket(&self.directory),
            Kind::MariaDb => mariadb::socket(&self.directory),
            _ => self.directory.display().to_string(),
        }
    }

    /// How to reach `database` over TCP as the owner of everything.
    pub(crate) fn facts(&self, database: &str) -> ConnectionFacts {
        let dialect = if self.kind == Kind::PostgreSql {
            "postgresql"
        } else {
            "mysql"
        };
        ConnectionFacts {
            dialect: dialect.to_owned(),
            host: Some("127.0.0.1".to_owned()),
            port: Some(self.port),
            database: Some(database.to_owned()),
            user: Some(USER.to_owned()),
            password: Some(Secret::new(PASSWORD)),
            ..ConnectionFacts::default()
        }
    }

    /// Runs statements that belong to no test database, such as `CREATE USER`.
    pub(crate) fn execute(&self, sql: &str) {
        database::query(self.kind, &self.admin(), sql);
    }

    pub(super) fn try_execute(&self, sql: &str) -> Result<(), Box<dyn std::error::Error>> {
        database::try_query(self.kind, &self.admin(), sql).map(drop)
    }

    pub(super) fn query(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        database::query(self.kind, &self.admin(), sql)
    }

    fn admin(&self) -> ConnectionFacts {
        self.facts(if self.kind == Kind::PostgreSql {
            "postgres"
        } else {
            "mysql"
        })
    }

    fn tell(&self, word: &str) -> String {
        self.supervisor
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .tell(word)
    }
}

/// A folder in memory where there is one with room for some servers: a change of a schema writes several files through
/// to the disk, and waiting for that would be most of what some tests do.
fn place() -> &'static Path {
    let memory = Path::new("/dev/shm");
    let room = statvfs(memory).map_or(0, |found| {
        u128::from(found.blocks_available()) * u128::from(found.fragment_size())
    });
    let writable = access(memory, AccessFlags::W_OK | AccessFlags::X_OK).is_ok();
    if writable && room > 2 << 30 {
        memory
    } else {
        Path::new("/tmp")
    }
}

/// Servers refuse to run as root. The result is `None` where we are somebody else already.
fn user_for_servers(ours: &Path, preferred: &str) -> Option<(u32, u32)> {
    (fs::metadata(ours).unwrap().uid() == 0).then(|| {
        [preferred, "nobody"]
            .iter()
            .find_map(|name| Some((id("-u", name)?, id("-g", name)?)))
            .expect("the system has a user `nobody`")
    })
}

fn id(option: &str, name: &str) -> Option<u32> {
    let output = Command::new("id").args([option, name]).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

/// The program in `PATH` or one of the `places`, or a panic that says what to install.
pub(super) fn program(names: &[&str], places: &[PathBuf]) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories: Vec<_> = std::env::split_paths(&path)
        .chain(places.iter().cloned())
        .collect();
    names
        .iter()
        .flat_map(|name| directories.iter().map(move |directory| directory.join(name)))
        .find(|file| file.is_file())
        .unwrap_or_else(|| {
            panic!(
                "{} is not installed; the tests need the packages `postgresql` and `mariadb-server`, \
                 which `make test` installs on Debian and Ubuntu",
                names[0]
            )
        })
}

/// In single quotes for the shell.
pub(super) fn shell_word(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}
