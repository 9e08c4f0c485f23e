//! A workflow of a document, played on a project as the runner of GitHub would.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use yaml_rust2::{Yaml, YamlLoader};

use super::{Project, source};

/// What the steps of a job did.
pub struct Played {
    /// Whether one of them failed.
    pub failed: bool,
    /// The names, or else the lines, of those that ran.
    pub ran: Vec<String>,
    /// All that they printed.
    pub output: String,
}

/// The workflows of a document.
pub fn workflows(document: &str) -> Vec<Yaml> {
    let text = fs::read_to_string(source().join(document)).expect("the document");
    let blocks = text.split("```yaml\n").skip(1);
    let parsed = blocks.map(|block| {
        let yaml = block.split("```").next().unwrap_or_default();
        let documents = YamlLoader::load_from_str(yaml);
        let mut documents = documents.unwrap_or_else(|error| panic!("{document}: {error}\n{yaml}"));
        assert_eq!(documents.len(), 1, "{yaml}");
        documents.remove(0)
    });
    parsed.collect()
}

impl Project {
    /// A program of the job that is not there, as a shell script.
    pub fn stub(self, path: &str, script: &str) -> Self {
        let project = self.file(path, format!("#!/bin/sh\n{script}\n"));
        project.make_executable(path);
        project
    }

    /// Runs every step of the workflow's only job that has a command. `given` is what the expressions in it stand
    /// for; programs in the folder `stubs` go before those of the machine.
    pub fn play(&self, workflow: &Yaml, given: &[(&str, &str)]) -> Played {
        let jobs = workflow["jobs"].as_hash().expect("jobs");
        assert_eq!(jobs.len(), 1);
        let (_, job) = jobs.front().expect("a job");
        let outputs = self.root.join("github-output");
        let summary = self.root.join("github-summary");
        fs::write(&outputs, "").expect("a file of ours");
        let path = self.environment.get(std::ffi::OsStr::new("PATH"));
        let path = path.expect("a path").to_string_lossy();
        let path = format!("{}:{path}", self.root.join("stubs").display());
        let mut played = Played {
            failed: false,
            ran: Vec::new(),
            output: String::new(),
        };
        for step in job["steps"].as_vec().expect("steps") {
            let Some(script) = step["run"].as_str() else {
                assert!(step["uses"].as_str().is_some(), "{step:?}");
                continue;
            };
            if !is_due(step["if"].as_str(), played.failed, &outputs) {
                continue;
            }
            let mut command = Command::new("bash");
            command
                .args(["-e", "-c", script])
                .current_dir(&self.root)
                .env_clear()
                .envs(&self.environment)
                .env("PATH", &path)
                .env("GITHUB_SHA", "0123abcd")
                .env("GITHUB_OUTPUT", &outputs)
                .env("GITHUB_STEP_SUMMARY", &summary)
                .stdin(Stdio::null());
            for variables in [&job["env"], &step["env"]] {
                for (name, value) in variables.as_hash().into_iter().flatten() {
                    let value = value.as_str().expect("a text");
                    command.env(name.as_str().expect("a name"), filled_in(value, given));
                }
            }
            let output = command.output().expect("bash");
            played.failed |= !output.status.success();
            let name = step["name"].as_str().unwrap_or(script);
            played.ran.push(name.to_owned());
            for text in [output.stdout, output.stderr] {
                played.output.push_str(&String::from_utf8_lossy(&text));
            }
        }
        played
    }
}

/// The conditions that the documents have, and no other.
fn is_due(condition: Option<&str>, failed: bool, outputs: &Path) -> bool {
    match condition {
        None => !failed,
        Some("failure()") => failed,
        Some("failure() && steps.guard.outputs.code == '8'") => {
            let told = fs::read_to_string(outputs).expect("a file of ours");
            failed && told.lines().any(|line| line == "code=8")
        }
        Some(other) => panic!("the test does not know the condition {other}"),
    }
}

fn filled_in(text: &str, given: &[(&str, &str)]) -> String {
    let filled = given.iter().fold(text.to_owned(), |text, (name, value)| {
        text.replace(&format!("${{{{ {name} }}}}"), value)
    });
    assert!(!filled.contains("${{"), "the test does not know {text}");
    filled
}
