//! The `rollback` binary: gathers what is around it and hands it to the library.

use std::process::ExitCode;

use rollback::World;
use rollback::error::{Exit, Failure};
use rollback::process::Interrupt;
use rollback::ui::{ColorChoice, Format, Surroundings, Ui, Verbosity};

fn main() -> ExitCode {
    let environment = std::env::vars_os().collect();
    let surroundings = Surroundings::observe(rollback::no_color(&environment));
    let world = match (std::env::current_dir(), Interrupt::install()) {
        (Ok(cwd), Ok(interrupt)) => World {
            args: std::env::args_os().collect(),
            environment,
            cwd,
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
    rollback::run(&world).code().into()
}

fn early_failure(failure: &Failure, surroundings: Surroundings) -> ExitCode {
    Ui::new(
        Format::Human,
        Verbosity::Normal,
        ColorChoice::Auto,
        surroundings,
    )
    .failure(failure);
    failure.exit.code().into()
}
