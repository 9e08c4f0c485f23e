//! The `rollback` binary: gathers what is around it and hands it to the library.

use std::process::ExitCode;

use rollback::Env;
use rollback::error::{Exit, Failure};
use rollback::ui::{ColorChoice, Format, Terminal, Ui, Verbosity};

/// Trees and schemas are many small pieces: a quarter of a long plan's time went into the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let environment = std::env::vars_os().collect();
    let surroundings = Terminal::observe(rollback::no_color(&environment));
    let world = match (
        std::env::current_dir(),
        rollback_system::process::handle_signals(),
    ) {
        (Ok(cwd), Ok(interrupt)) => Env {
            args: std::env::args_os().collect(),
            environment,
            cwd,
            now: std::time::SystemTime::now,
            operator: rollback_system::process::operator(),
            interrupt,
            surroundings,
        },
        (Err(error), _) => {
            return early_failure(
                &Failure::user(format!("the working directory cannot be read: {error}"))
                    .hint("change to a directory that exists: cd"),
                surroundings,
            );
        }
        (_, Err(error)) => {
            return early_failure(
                &Failure::new(Exit::Internal, format!("cannot watch for Ctrl-C: {error}")),
                surroundings,
            );
        }
    };
    // A fault of our own is told in one sentence like any other; the place helps whoever fixes it.
    let (sender, place) = std::sync::mpsc::channel();
    std::panic::set_hook(Box::new(move |panic| {
        let _ = sender.send(panic.to_string());
    }));
    match std::panic::catch_unwind(|| rollback::run(&world)) {
        Ok(exit) => exit.code().into(),
        Err(_) => early_failure(
            &Failure::new(Exit::Internal, "rollback itself is at fault")
                .because(place.try_recv().unwrap_or_default())
                .hint("see where the database stands: rollback current")
                .hint("report this line with the command that you typed"),
            surroundings,
        ),
    }
}

fn early_failure(failure: &Failure, surroundings: Terminal) -> ExitCode {
    Ui::new(
        Format::Human,
        Verbosity::Normal,
        ColorChoice::Auto,
        surroundings,
    )
    .failure(failure);
    failure.exit.code().into()
}
