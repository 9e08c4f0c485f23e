//! The project's own code, its settings, and what it refuses on purpose.

use super::DiagnosisContext;
use super::entry::{Entry, NEXT, Wording, group, pattern};
use super::failed::{Failed, cut};
use super::start::StartKind;
use rollback_core::dialect::Dialect;

pattern!(UNDEFINED = r"^name '([^']+)' is not defined");
pattern!(NO_FUNCTION = r"has no attribute '(downgrade|upgrade)'");

/// `ConfigParser` on a value with a single `%`, when it is set and when it is read.
const INTERPOLATION: &str = "^ValueError: invalid interpolation syntax|InterpolationSyntaxError: ";

const NOT_LOADED: &str = "The project's code was not loaded: no migration was run.";

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        code: "import-error",
        when: "The project imports something that the engine's Python lacks.",
        means: NOT_LOADED,
        remedy: "Install it there, or name the right engine with --engine-command.",
        kind: |kind| matches!(kind, StartKind::Import(_)),
        words: import,
        ..NEXT
    },
    Entry {
        code: "python-syntax",
        when: "A Python file of the project cannot be parsed.",
        means: NOT_LOADED,
        remedy: "Correct the file.",
        python: &["^(?:SyntaxError|IndentationError|TabError): "],
        words: syntax,
        ..NEXT
    },
    Entry {
        code: "environment-variable",
        when: "The project reads a variable from the environment that is not set.",
        means: NOT_LOADED,
        remedy: "Set the variable.",
        kind: |kind| matches!(kind, StartKind::EnvironmentVariable(_)),
        words: variable,
        ..NEXT
    },
    Entry {
        code: "x-argument",
        when: "env.py reads an argument that was not given with -x.",
        means: NOT_LOADED,
        remedy: "Give it: -x NAME=VALUE.",
        kind: |kind| matches!(kind, StartKind::XArgument(_)),
        words: x_argument,
        ..NEXT
    },
    Entry {
        code: "database-url",
        when: "The project gives no database URL, or one that cannot be used.",
        means: "No database was reached: nothing was run.",
        remedy: "Set the URL where the project reads it.",
        kind: |kind| matches!(kind, StartKind::Url),
        words: url,
        ..NEXT
    },
    Entry {
        code: "configuration-missing",
        when: "There is no configuration of Alembic, or it names no folder that is there.",
        means: NOT_LOADED,
        remedy: "Go to the project's folder, or name it with -C DIR.",
        kind: |kind| matches!(kind, StartKind::NoConfiguration),
        words: no_configuration,
        ..NEXT
    },
    Entry {
        code: "configuration-broken",
        when: "The configuration of Alembic cannot be parsed.",
        means: NOT_LOADED,
        remedy: "Correct the file.",
        kind: |kind| matches!(kind, StartKind::BrokenConfiguration),
        python: &[INTERPOLATION],
        words: broken_configuration,
        ..NEXT
    },
    Entry {
        code: "no-flask-application",
        when: "Flask finds no application, or the application does not know the command.",
        means: NOT_LOADED,
        remedy: "Set FLASK_APP to the application, and see that it sets up Flask-Migrate.",
        kind: |kind| matches!(kind, StartKind::NoFlaskCommand),
        words: no_flask,
        ..NEXT
    },
    Entry {
        code: "unknown-option",
        when: "The engine does not take an option.",
        means: "The engine did not begin: nothing was run.",
        remedy: "Leave it out, or take another version of the engine.",
        kind: |kind| matches!(kind, StartKind::NoSuchOption(_)),
        words: unknown_option,
        ..NEXT
    },
    Entry {
        code: "several-databases-template",
        when: "env.py is written for several databases and a version file for one, or the other way round.",
        means: "The function of the migration was not entered.",
        remedy: "Give the function the argument `engine_name`, as the template for several databases does, or take the other env.py.",
        python: &[
            r"^TypeError: (?:downgrade|upgrade)\(\) missing 1 required positional argument: 'engine_name'",
            r"^TypeError: (?:downgrade|upgrade)\(\) got an unexpected keyword argument 'engine_name'",
            r"^TypeError: (?:downgrade|upgrade)\(\) takes 0 positional arguments but 1 was given",
        ],
        words: other_template,
        ..NEXT
    },
    Entry {
        code: "name-not-defined",
        when: "A Python file uses a name that it neither defines nor imports.",
        means: "The migration stopped at this line.",
        remedy: "Import it at the top of the file, and in script.py.mako for those to come.",
        python: &["^NameError: name '"],
        in_a_step: true,
        words: not_defined,
        ..NEXT
    },
    Entry {
        code: "constraint-unnamed",
        when: "A migration drops or makes a constraint whose name it gives as None.",
        means: "The statement was not run.",
        remedy: "Write the name that the constraint has in the database, or set a naming_convention.",
        python: &[
            "^ValueError: Constraint must have a name",
            "Can't emit (?:DROP|ADD) CONSTRAINT for constraint .*it has no name",
            "(?:DROP|CREATE) INDEX requires that the index have a name",
            // SQLAlchemy for MariaDB and MySQL, when it writes the name.
            "^AssertionError",
        ],
        and: |failed| {
            failed.class != "AssertionError"
                || failed.frames.last().is_some_and(|frame| {
                    frame.function == "format_constraint" && frame.file.contains("sqlalchemy")
                })
        },
        in_a_step: true,
        words: unnamed,
        ..NEXT
    },
    Entry {
        code: "constraint-type-missing",
        when: "A migration drops a constraint of MariaDB or MySQL without its kind.",
        means: "The statement was not run.",
        remedy: "Give `type_` to drop_constraint.",
        python: &["^NotImplementedError: No generic 'DROP CONSTRAINT' in MySQL"],
        in_a_step: true,
        words: no_type,
        ..NEXT
    },
    Entry {
        code: "transaction-already-open",
        when: "env.py asked the database something between context.configure() and the migrations, which began a transaction.",
        means: "No migration was run.",
        remedy: "Commit before context.begin_transaction(), or ask over another connection.",
        python: &[
            "^(?:sqlalchemy\\.exc\\.)?InvalidRequestError: This connection has already initialized a SQLAlchemy Transaction",
        ],
        words: already_open,
        ..NEXT
    },
    Entry {
        code: "decryption-key",
        when: "A migration reads encrypted values, and the key of the application is not the one that they were written with.",
        means: "The values were not read.",
        remedy: "Set the key that the values were written with (SECRET_KEY of Superset).",
        python: &[
            "StatementError: Invalid decryption key",
            r"^(?:cryptography\.fernet\.)?InvalidToken",
        ],
        in_a_step: true,
        words: other_key,
        ..NEXT
    },
    Entry {
        code: "no-downgrade",
        when: "A version file has no function downgrade.",
        means: "The migration was not made to be taken back; nothing of it was.",
        remedy: "Write the function, or go back to a backup from before the upgrade.",
        python: &["^AttributeError: .* has no attribute '(?:downgrade|upgrade)'"],
        words: no_downgrade,
        ..NEXT
    },
    Entry {
        code: "not-offline",
        when: "A migration needs a database, and is to be written as SQL with --sql.",
        means: "SQL was written, nothing was run.",
        remedy: "Run it against a database, or write the statements by hand.",
        python: &[
            "cannot proceed in --sql mode",
            "batch mode with dialect \\S+ requires a live database connection",
            "^CommandError: .*(?:offline|--sql) mode",
            "can't proceed (?:with )?--sql",
            "NoInspectionAvailable: No inspection system is available for object of type <class 'sqlalchemy\\.engine\\.mock\\.",
        ],
        words: offline,
        ..NEXT
    },
    Entry {
        code: "migration-refuses",
        when: "The migration raises an error of its own: it is not to be taken back, or not now.",
        means: "Whoever wrote the migration meant this; what it did before it raised may be done.",
        remedy: "Read what it says. To get past it, go back to a backup, or mend the downgrade.",
        python: &["."],
        and: raised_by_migration,
        in_a_step: true,
        words: refuses,
        ..NEXT
    },
];

/// Whether the innermost frame is a `raise` of the migration itself.
fn raised_by_migration(failed: &Failed) -> bool {
    let innermost = failed.frames.last();
    let own = failed.migration();
    innermost.is_some()
        && innermost == own
        && innermost.is_some_and(|frame| {
            frame.source.starts_with("raise ")
                || frame.source == "raise"
                || frame.source.starts_with("assert ")
        })
}

/// What stopped was a migration, where it did the thing itself.
fn in_migration(failed: &Failed) -> Option<String> {
    failed
        .migration()
        .map(|_| "A migration was running; what it did before may be done.".to_owned())
}

fn import(failed: &Failed, _: &DiagnosisContext) -> Wording {
    let module = match &failed.kind {
        Some(StartKind::Import(module)) if !module.is_empty() => Some(module.as_str()),
        _ => None,
    };
    let words = match module {
        Some(module) => Wording::new(format!("the engine's Python has no module {module}")).then(format!(
            "install {module} there, or name the right engine with --engine-command"
        )),
        None => Wording::new(format!(
            "the engine's Python cannot import what the project needs: {}",
            failed.sentence()
        ))
        .then("see that the packages of the project are installed there in the versions that it needs"),
    };
    Wording {
        meaning: in_migration(failed),
        ..words
    }
}

fn syntax(failed: &Failed, _: &DiagnosisContext) -> Wording {
    let place = match &failed.kind {
        Some(StartKind::Syntax { file, line }) => Some(format!("{file}, line {line}")),
        _ => None,
    };
    match place {
        Some(place) => Wording::new(format!("{place}: {}", failed.sentence()))
            .then(format!("correct the syntax in {place}")),
        None => Wording::new(format!(
            "a Python file cannot be parsed: {}",
            failed.sentence()
        ))
        .then("correct the file that was changed last"),
    }
}

fn variable(failed: &Failed, _: &DiagnosisContext) -> Wording {
    let name = match &failed.kind {
        Some(StartKind::EnvironmentVariable(name)) => name.clone(),
        _ => "(not named)".to_owned(),
    };
    Wording {
        meaning: in_migration(failed),
        ..Wording::new(format!(
            "the variable {name} is not set, and the project needs it"
        ))
        .then(format!("set it: export {name}=..."))
    }
}

fn x_argument(failed: &Failed, _: &DiagnosisContext) -> Wording {
    let name = match &failed.kind {
        Some(StartKind::XArgument(name)) => name.clone(),
        _ => "NAME".to_owned(),
    };
    Wording::new(format!(
        "env.py wants an argument {name} that was not given"
    ))
    .then(format!("add it: -x {name}=VALUE"))
}

fn url(_: &Failed, known: &DiagnosisContext) -> Wording {
    Wording::new("the project gives no database URL that can be used").then(format!(
        "set it where the project reads it (`sqlalchemy.url` in alembic.ini, or its env.py) until this works: {}",
        known.current()
    ))
}

fn no_configuration(failed: &Failed, _: &DiagnosisContext) -> Wording {
    Wording::new(format!(
        "Alembic has no configuration: {}",
        failed.sentence()
    ))
    .then("run it in the project's folder, or name that: rollback -C <dir> current")
}

fn broken_configuration(failed: &Failed, known: &DiagnosisContext) -> Wording {
    if failed.line().contains("nterpolation") {
        // The value is not repeated: it is nearly always a URL with its password.
        return Wording::new("a value of the configuration has a single %, which ConfigParser takes for the beginning of a reference")
            .then("write %% for each %: in env.py, config.set_main_option(\"sqlalchemy.url\", url.replace(\"%\", \"%%\"))");
    }
    Wording::new(format!(
        "the configuration of Alembic cannot be parsed: {}",
        cut(&failed.message)
    ))
    .then(format!("correct it until this works: {}", known.current()))
}

fn no_flask(failed: &Failed, _: &DiagnosisContext) -> Wording {
    Wording::new(format!("Flask does not know what to do: {}", failed.sentence()))
        .then("set FLASK_APP to the application, such as `FLASK_APP=app`, and see that it sets up Flask-Migrate")
}

fn unknown_option(failed: &Failed, _: &DiagnosisContext) -> Wording {
    let option = match &failed.kind {
        Some(StartKind::NoSuchOption(option)) => option.clone(),
        _ => "an option".to_owned(),
    };
    Wording::new(format!("this version of the engine does not take {option}"))
        .then("see what it takes with --help; put `--` before a target that begins with a dash")
}

fn no_downgrade(failed: &Failed, known: &DiagnosisContext) -> Wording {
    let function = group(&NO_FUNCTION, &failed.message);
    let file = failed
        .message
        .split('\'')
        .nth(1)
        .map_or(String::new(), |module| format!(" {}", cut(module)));
    Wording::new(format!(
        "the version file{file} has no function {}",
        function.as_deref().unwrap_or("downgrade")
    ))
    .then(match (&known.restore, &known.revision) {
        (Some(restore), _) => format!("write it, or go back to the backup: {restore}"),
        (None, Some(revision)) => {
            format!("write it in {revision}, or go back to a backup from before the upgrade")
        }
        _ => "write it, or go back to a backup from before the upgrade".to_owned(),
    })
}

/// ` at FILE:LINE` of the migration, or of where it was raised.
fn at_line(failed: &Failed) -> String {
    let frame = failed.migration().or(failed.frames.last());
    frame.map_or(String::new(), |frame| {
        let file = frame.file.rsplit(['/', '\\']).next().unwrap_or_default();
        format!(" at {file}:{}", frame.line)
    })
}

fn other_template(failed: &Failed, _: &DiagnosisContext) -> Wording {
    if failed.message.contains("missing") {
        return Wording::new("the version file is written for several databases, and env.py runs one")
            .then("run it with the env.py of the template for several databases, which passes engine_name")
            .then("or write the function without the argument");
    }
    Wording::new("env.py is written for several databases, and the version file for one")
        .then("give the functions of the version file the argument: def downgrade(engine_name)")
}

fn not_defined(failed: &Failed, _: &DiagnosisContext) -> Wording {
    let name = group(&UNDEFINED, &failed.message);
    let name = name.as_deref().unwrap_or("a name");
    let at = at_line(failed);
    Wording::new(format!("{name} is used{at} and not imported or defined there"))
        .then(format!(
            "if it is a module, add `import {name}` at the top of that file, and to script.py.mako for new ones"
        ))
}

fn unnamed(failed: &Failed, known: &DiagnosisContext) -> Wording {
    let see = match failed.dialect.or(known.dialect) {
        Some(Dialect::Postgres) => "see the names that the database has: \\d TABLE in psql",
        Some(Dialect::MySql) => "see the names that the database has: SHOW CREATE TABLE ...;",
        Some(Dialect::Sqlite) => "see the table: SELECT sql FROM sqlite_schema;",
        None => "see which name it has in the database (psql: \\d TABLE; MySQL: SHOW CREATE TABLE)",
    };
    Wording::new(format!(
        "the migration gives None as the name of a constraint or index{}",
        at_line(failed)
    ))
    .then(see)
    .then("write that name in the migration in place of None, or set a naming_convention in the batch operation")
}

fn no_type(failed: &Failed, _: &DiagnosisContext) -> Wording {
    Wording::new(format!(
        "the kind of the constraint is not given{}, and MariaDB and MySQL drop each kind in its own way",
        at_line(failed)
    ))
    .then("add it: type_=\"foreignkey\", \"unique\", \"check\" or \"primary\" in op.drop_constraint")
}

fn already_open(_: &Failed, _: &DiagnosisContext) -> Wording {
    Wording::new("a transaction is open on the connection when Alembic begins its own")
        .then("in env.py, call connection.commit() after what it asks the database, or ask over another connection")
}

fn other_key(_: &Failed, _: &DiagnosisContext) -> Wording {
    Wording::new(
        "values in the database were encrypted with another key than the application has now",
    )
    .then("set the key that they were written with; for Superset, SECRET_KEY in superset_config.py")
}

fn offline(failed: &Failed, _: &DiagnosisContext) -> Wording {
    Wording::new(format!(
        "the migration needs a database and cannot be written as SQL: {}",
        failed.sentence()
    ))
    .then("run it against a copy of the database instead of --sql")
}

fn refuses(failed: &Failed, known: &DiagnosisContext) -> Wording {
    let said = if failed.message.is_empty() {
        failed.class.clone()
    } else {
        failed.sentence()
    };
    let at = failed
        .migration()
        .map(|frame| {
            let file = frame.file.rsplit('/').next().unwrap_or_default();
            format!(" at {file}:{}", frame.line)
        })
        .unwrap_or_default();
    // In the account of a run its words stand right above.
    let said = if known.state.is_some() {
        String::new()
    } else {
        format!(": {said}")
    };
    let words = Wording {
        // What was left behind is then known, and told elsewhere.
        meaning: known
            .state
            .map(|_| "Whoever wrote the migration meant this.".to_owned()),
        ..Wording::new(format!("the migration itself refuses{at}{said}"))
    };
    words.then(match &known.restore {
        Some(restore) => format!("to get past it, go back to the backup: {restore}"),
        None => {
            "to get past it, go back to a backup from before the upgrade, or mend the downgrade"
                .to_owned()
        }
    })
}
