//! The project's own code, its settings, and what it refuses on purpose.

use super::Known;
use super::entry::{Entry, NEXT, Words, group, pattern};
use super::failed::{Failed, cut};
use super::start::Kind;

pattern!(NO_FUNCTION = r"has no attribute '(downgrade|upgrade)'");

const NOT_LOADED: &str = "The project's code was not loaded: no migration was run.";

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        code: "import-error",
        when: "The project imports something that the engine's Python lacks.",
        means: NOT_LOADED,
        remedy: "Install it there, or name the right engine with --engine-command.",
        kind: |kind| matches!(kind, Kind::Import(_)),
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
        kind: |kind| matches!(kind, Kind::EnvironmentVariable(_)),
        words: variable,
        ..NEXT
    },
    Entry {
        code: "x-argument",
        when: "env.py reads an argument that was not given with -x.",
        means: NOT_LOADED,
        remedy: "Give it: -x NAME=VALUE.",
        kind: |kind| matches!(kind, Kind::XArgument(_)),
        words: x_argument,
        ..NEXT
    },
    Entry {
        code: "database-url",
        when: "The project gives no database URL, or one that cannot be used.",
        means: "No database was reached: nothing was run.",
        remedy: "Set the URL where the project reads it.",
        kind: |kind| matches!(kind, Kind::Url),
        words: url,
        ..NEXT
    },
    Entry {
        code: "configuration-missing",
        when: "There is no configuration of Alembic, or it names no folder that is there.",
        means: NOT_LOADED,
        remedy: "Go to the project's folder, or name it with -C DIR.",
        kind: |kind| matches!(kind, Kind::NoConfiguration),
        words: no_configuration,
        ..NEXT
    },
    Entry {
        code: "configuration-broken",
        when: "The configuration of Alembic cannot be parsed.",
        means: NOT_LOADED,
        remedy: "Correct the file.",
        kind: |kind| matches!(kind, Kind::BrokenConfiguration),
        words: broken_configuration,
        ..NEXT
    },
    Entry {
        code: "no-flask-application",
        when: "Flask finds no application, or the application does not know the command.",
        means: NOT_LOADED,
        remedy: "Set FLASK_APP to the application, and see that it sets up Flask-Migrate.",
        kind: |kind| matches!(kind, Kind::NoFlaskCommand),
        words: no_flask,
        ..NEXT
    },
    Entry {
        code: "unknown-option",
        when: "The engine does not take an option.",
        means: "The engine did not begin: nothing was run.",
        remedy: "Leave it out, or take another version of the engine.",
        kind: |kind| matches!(kind, Kind::NoSuchOption(_)),
        words: unknown_option,
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

fn import(failed: &Failed, _: &Known) -> Words {
    let module = match &failed.kind {
        Some(Kind::Import(module)) if !module.is_empty() => Some(module.as_str()),
        _ => None,
    };
    let words = match module {
        Some(module) => Words::new(format!("the engine's Python has no module {module}")).then(format!(
            "install {module} there, or name the right engine with --engine-command"
        )),
        None => Words::new(format!(
            "the engine's Python cannot import what the project needs: {}",
            failed.sentence()
        ))
        .then("see that the packages of the project are installed there in the versions that it needs"),
    };
    Words {
        meaning: in_migration(failed),
        ..words
    }
}

fn syntax(failed: &Failed, _: &Known) -> Words {
    let place = match &failed.kind {
        Some(Kind::Syntax { file, line }) => Some(format!("{file}, line {line}")),
        _ => None,
    };
    match place {
        Some(place) => Words::new(format!("{place}: {}", failed.sentence()))
            .then(format!("correct the syntax in {place}")),
        None => Words::new(format!(
            "a Python file cannot be parsed: {}",
            failed.sentence()
        ))
        .then("correct the file that was changed last"),
    }
}

fn variable(failed: &Failed, _: &Known) -> Words {
    let name = match &failed.kind {
        Some(Kind::EnvironmentVariable(name)) => name.clone(),
        _ => "(not named)".to_owned(),
    };
    Words {
        meaning: in_migration(failed),
        ..Words::new(format!(
            "the variable {name} is not set, and the project needs it"
        ))
        .then(format!("set it: export {name}=..."))
    }
}

fn x_argument(failed: &Failed, _: &Known) -> Words {
    let name = match &failed.kind {
        Some(Kind::XArgument(name)) => name.clone(),
        _ => "NAME".to_owned(),
    };
    Words::new(format!(
        "env.py wants an argument {name} that was not given"
    ))
    .then(format!("add it: -x {name}=VALUE"))
}

fn url(_: &Failed, _: &Known) -> Words {
    Words::new("the project gives no database URL that can be used").then(
        "set it where the project reads it (`sqlalchemy.url` in alembic.ini, or its env.py) until this works: rollback current",
    )
}

fn no_configuration(failed: &Failed, _: &Known) -> Words {
    Words::new(format!(
        "Alembic has no configuration: {}",
        failed.sentence()
    ))
    .then("run it in the project's folder, or name that: rollback -C DIR current")
}

fn broken_configuration(failed: &Failed, _: &Known) -> Words {
    Words::new(format!(
        "the configuration of Alembic cannot be parsed: {}",
        cut(&failed.message)
    ))
    .then("correct it until this works: rollback current")
}

fn no_flask(failed: &Failed, _: &Known) -> Words {
    Words::new(format!("Flask does not know what to do: {}", failed.sentence()))
        .then("set FLASK_APP to the application, such as `FLASK_APP=app`, and see that it sets up Flask-Migrate")
}

fn unknown_option(failed: &Failed, _: &Known) -> Words {
    let option = match &failed.kind {
        Some(Kind::NoSuchOption(option)) => option.clone(),
        _ => "an option".to_owned(),
    };
    Words::new(format!("this version of the engine does not take {option}"))
        .then("see what it takes with --help; put `--` before a target that begins with a dash")
}

fn no_downgrade(failed: &Failed, known: &Known) -> Words {
    let function = group(&NO_FUNCTION, &failed.message);
    let file = failed
        .message
        .split('\'')
        .nth(1)
        .map_or(String::new(), |module| format!(" {}", cut(module)));
    Words::new(format!(
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

fn offline(failed: &Failed, _: &Known) -> Words {
    Words::new(format!(
        "the migration needs a database and cannot be written as SQL: {}",
        failed.sentence()
    ))
    .then("run it against a copy of the database instead of --sql")
}

fn refuses(failed: &Failed, known: &Known) -> Words {
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
    let words = Words {
        // What was left behind is then known, and told elsewhere.
        meaning: known
            .state
            .map(|_| "Whoever wrote the migration meant this.".to_owned()),
        ..Words::new(format!("the migration itself refuses{at}{said}"))
    };
    words.then(match &known.restore {
        Some(restore) => format!("to get past it, go back to the backup: {restore}"),
        None => {
            "to get past it, go back to a backup from before the upgrade, or mend the downgrade"
                .to_owned()
        }
    })
}
