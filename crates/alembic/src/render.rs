//! The statements of each step of a plan, as the engine renders them without a database.
//!
//! With the bridge inside, one start renders all steps, each from the version rows that will be there.
//! On the plain road each step is a start of its own.

use std::sync::LazyLock;

use regex::Regex;
use serde::Deserialize;

use super::{AlembicEngine, bridge, statements};
use error_diagnosis::start as complaint;
use rollback_core::engine::{Ended, EngineError};
use rollback_core::plan::{Plan, Step};
use rollback_core::rendering::{Raised, RenderError, Rendering};
use rollback_core::secret::mask;
use rollback_system::process::Finished;

/// A line of the pipe: the statements of a step, or the exception that it ended in.
#[derive(Deserialize)]
struct RenderedStep {
    rendered: usize,
    sql: Option<String>,
    error: Option<String>,
    file: Option<String>,
    line: Option<u64>,
    source: Option<String>,
    within: Option<String>,
}

impl AlembicEngine {
    /// Renders each step of a plan, in its order. Fails where the engine can render none, such as by an
    /// `env.py` that has no offline mode.
    pub fn render(&self, plan: &Plan) -> Result<Vec<Rendering>, EngineError> {
        let Some(first) = plan.steps.first() else {
            return Ok(Vec::new());
        };
        let range = offline_range(first);
        let verb: &[&str] = &["downgrade", &range, "--sql"];
        let plain = self.invocation(verb);
        match self.launch(&plain).filter(|_| self.bridged.get()) {
            Some(launch) => {
                let request = bridge::BridgeRequest {
                    render: Some(&plan.steps),
                    ..Default::default()
                };
                let bridged = bridge::invocation(&launch, &self.dir, &plain.env, request);
                let interrupt = self.interrupt.at_once();
                let finished = self.run(verb, &bridged, None, &interrupt, &mut |_| {})?;
                self.told(verb, &finished, plan.steps.len())
            }
            None => self.one_by_one(plan),
        }
    }

    fn told(
        &self,
        verb: &[&str],
        finished: &Finished,
        steps: usize,
    ) -> Result<Vec<Rendering>, EngineError> {
        if finished.ended == Ended::Interrupted {
            return Err(self.failed(verb, finished, None));
        }
        let mut renderings: Vec<Option<Rendering>> = vec![None; steps];
        for line in finished.side_channel.split(|byte| *byte == b'\n') {
            if let Ok(told) = serde_json::from_slice::<RenderedStep>(line)
                && let Some(place) = renderings.get_mut(told.rendered)
            {
                *place = Some(told.rendering());
            }
        }
        if renderings.iter().all(Option::is_none) {
            return Err(self.not_offline(verb, finished));
        }
        let ending = match &finished.ended {
            Ended::Signalled(signal) => format!("by signal {signal}"),
            Ended::Exited(status) => format!("with exit status {status}"),
            Ended::TimedOut | Ended::Interrupted => "by us".to_owned(),
        };
        let mut missing = RenderError::of_engine(&format!("ends the engine's process, {ending}"));
        Ok(renderings
            .into_iter()
            .map(|rendering| {
                rendering.unwrap_or_else(|| {
                    let later =
                        RenderError::of_engine("an earlier step ended the engine's process");
                    Err(std::mem::replace(&mut missing, later))
                })
            })
            .collect())
    }

    fn one_by_one(&self, plan: &Plan) -> Result<Vec<Rendering>, EngineError> {
        let interrupt = self.interrupt.at_once();
        let mut renderings = Vec::new();
        let mut last = None;
        for step in &plan.steps {
            let range = offline_range(step);
            let verb: &[&str] = &["downgrade", &range, "--sql"];
            let finished = self.ask(verb, &interrupt)?;
            if finished.ended == Ended::Interrupted {
                return Err(self.failed(verb, &finished, None));
            }
            renderings.push(printed(&finished, step));
            last = Some((range, finished));
        }
        // Nothing but the same complaint, and of no migration: it is about the project.
        let same = renderings.windows(2).all(|pair| pair[0] == pair[1]);
        if let (true, Some(Err(obstacle)), Some((range, finished))) =
            (same, renderings.first(), last)
            && obstacle.file.is_none()
            && finished.ended != Ended::Exited(0)
        {
            return Err(self.not_offline(&["downgrade", &range, "--sql"], &finished));
        }
        Ok(renderings)
    }

    fn not_offline(&self, verb: &[&str], finished: &Finished) -> EngineError {
        let mut error = self.failed(verb, finished, None);
        if finished.ended == Ended::Exited(0) {
            error.summary = format!(
                "`{}` rendered nothing: env.py runs no migrations offline",
                self.typed(verb)
            );
            error.hints.clear();
        }
        error.hints.push(
            "SQL is rendered by the offline mode of the project's env.py (`run_migrations_offline`); \
             leave --sql away for the plan alone"
                .to_owned(),
        );
        error
    }
}

/// From the one revision that goes to where the real step goes: what is applied by that revision alone
/// is a part of what is applied, so that the same argument can only take less.
fn offline_range(step: &Step) -> String {
    format!("{}:{}", step.removes, step.argument)
}

impl RenderedStep {
    fn rendering(self) -> Rendering {
        if let Some(sql) = self.sql {
            return Ok(mask(sql.trim_end(), None) + "\n");
        }
        let error = mask(self.error.as_deref().unwrap_or_default(), None);
        let source = self.source.as_deref().map(|source| mask(source, None));
        let raised = Raised {
            error: &error,
            source: source.as_deref(),
            within: self.within.as_deref(),
        };
        Err(RenderError::raised(raised, self.file, self.line))
    }
}

/// What a start for one step printed; its passwords are hidden already.
fn printed(finished: &Finished, step: &Step) -> Rendering {
    if finished.ended == Ended::Exited(0) {
        return statements::of_step(&finished.stdout, step)
            .map_err(|said| RenderError::of_engine(&said));
    }
    let said = complaint::read(&finished.stdout, &finished.stderr).line;
    let said = if said.is_empty() {
        "the engine failed without a word"
    } else {
        &said
    };
    let mut raised = Raised {
        error: said,
        source: None,
        within: None,
    };
    Err(match place(&finished.stderr, step) {
        Some((file, line, source)) => {
            raised.source = Some(&source);
            RenderError::raised(raised, Some(file), Some(line))
        }
        // The file is loaded, and has nothing to be called.
        None if said.ends_with("has no attribute 'downgrade'") => {
            RenderError::raised(raised, step.revision.path.clone(), None)
        }
        None => RenderError::of_engine(said),
    })
}

/// The innermost line of the version file in a traceback.
fn place(stderr: &str, step: &Step) -> Option<(String, u64, String)> {
    static FRAME: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r#"(?m)^  File "([^"]+)", line (\d+), in .*\n(?:    (.*))?"#).ok()
    });
    let path = step.revision.path.as_deref()?;
    let found = FRAME
        .as_ref()?
        .captures_iter(stderr)
        .filter(|frame| &frame[1] == path)
        .last()?;
    let source = found.get(3).map_or("", |source| source.as_str());
    Some((path.to_owned(), found[2].parse().ok()?, source.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rollback_core::testing::drawn;

    #[test]
    fn the_innermost_line_of_the_version_file_is_taken() {
        let plan = Plan::new(&drawn("a"), &["a".into()], &"base".parse().unwrap()).unwrap();
        let mut step = plan.steps[0].clone();
        step.revision.path = Some("/p/a.py".to_owned());
        let stderr = "Traceback (most recent call last):\n  \
                      File \"/p/a.py\", line 9, in downgrade\n    helper()\n  \
                      File \"/p/a.py\", line 4, in helper\n    sa.inspect(bind)\n    ^^^^\n  \
                      File \"/lib/sqlalchemy/inspection.py\", line 1, in inspect\n    raise\n\
                      sqlalchemy.exc.NoInspectionAvailable: none\n";
        let (file, line, source) = place(stderr, &step).unwrap();
        assert_eq!(
            (file.as_str(), line, source.as_str()),
            ("/p/a.py", 4, "sa.inspect(bind)")
        );
        assert_eq!(place("nothing", &step), None);
    }
}
