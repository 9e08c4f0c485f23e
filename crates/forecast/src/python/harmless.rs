//! What does nothing to the database although nobody follows it.

/// The only modules whose functions may go unfollowed without a word, by the reason why that is safe. A
/// name covers what is below it. Any other function is followed, or the step is unknown at that line.
const HARMLESS: [(&str, &str); 5] = [
    (
        "they compute with the values that they are given",
        "abc base64 binascii bisect builtins calendar collections configparser contextlib copy dataclasses \
         datetime dateutil decimal enum fractions functools hashlib heapq hmac html inspect \
         itertools json math operator orjson packaging parsedatetime pickle pyparsing pytz re shlex simplejson \
         sqlglot statistics string struct textwrap threading.Lock threading.RLock types typing typing_extensions ujson \
         unicodedata urllib.parse uuid yaml zlib zoneinfo",
    ),
    (
        "they give the time or random values, or wait",
        "random secrets time",
    ),
    (
        "they write a log or to the terminal, or translate what is written",
        "flask.current_app.logger flask_babel gettext logging loguru pprint structlog \
         tqdm traceback warnings",
    ),
    (
        "they read settings",
        "alembic.context.config flask.current_app.config flask.has_app_context \
         flask.has_request_context os.environ os.getenv platform sys",
    ),
    (
        "they read files and folders",
        "csv importlib.metadata importlib.resources io os.fspath os.getcwd os.listdir os.path \
         pathlib pkgutil.get_data pkgutil.iter_modules",
    ),
];

/// Methods of a log. What has the name of a log and is asked for one of them writes a log, whoever made it.
const LOGGING: &str = "debug info warning warn error exception critical log";

/// Packages whose functions make objects. They reach a database only if they are handed a way to it.
const MAKERS: [&str; 5] = [
    "geoalchemy2",
    "pgvector",
    "sqlalchemy",
    "sqlalchemy_utils",
    "sqlmodel",
];

/// Parts of the makers that act by themselves: `sqlalchemy.event.listen` has code run later.
const ACTING: [&str; 6] = [
    "sqlalchemy.event",
    "sqlalchemy_utils.create_database",
    "sqlalchemy_utils.create_view",
    "sqlalchemy_utils.drop_database",
    "sqlalchemy_utils.functions",
    "sqlalchemy_utils.refresh_materialized_view",
];

/// Methods that change files, one of which may be the database of SQLite.
const CHANGES_FILES: [&str; 4] = ["unlink", "rmdir", "write_bytes", "write_text"];

fn is_below(name: &str, above: &str) -> bool {
    name.strip_prefix(above)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Whether a function outside of the project does nothing to the database, whatever it is given.
pub(super) fn is_harmless(name: &str) -> bool {
    let mut all = HARMLESS
        .iter()
        .flat_map(|(_, names)| names.split_ascii_whitespace());
    all.any(|own| is_below(name, own))
}

/// Whether a call, as it is written, writes a log.
pub(super) fn is_logging(written: &str) -> bool {
    written.rsplit_once('.').is_some_and(|(of, method)| {
        let name = of.rsplit('.').next().unwrap_or(of).trim_start_matches('_');
        matches!(&*name.to_ascii_lowercase(), "log" | "logger" | "logging")
            && LOGGING.split_ascii_whitespace().any(|own| own == method)
    })
}

/// Whether a function outside of the project only makes an object.
pub(super) fn is_maker(name: &str) -> bool {
    MAKERS.iter().any(|own| is_below(name, own))
        && !ACTING.iter().any(|acting| is_below(name, acting))
}

/// Whether a method of a value that was computed or read leaves the files alone.
pub(super) fn is_reading(method: &str) -> bool {
    !CHANGES_FILES.contains(&method)
}
