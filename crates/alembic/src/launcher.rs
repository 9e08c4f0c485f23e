//! How a console script is started under its own interpreter, so that the bridge can sit beside it.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rollback_system::process::find_program;

/// What the interpreter runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LaunchTarget {
    /// A script file.
    Script(PathBuf),
    /// A module, as by `python -m`.
    Module(OsString),
}

/// A command line taken apart: the interpreter, what it runs, and the arguments of that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// The Python interpreter, as named: a virtual environment is known by this path.
    pub interpreter: PathBuf,
    /// Its own options.
    pub flags: Vec<OsString>,
    /// What it runs.
    pub target: LaunchTarget,
    /// What follows.
    pub args: Vec<OsString>,
}

/// Takes a command line apart; `None` where it does not start with Python, as far as can be seen.
pub fn take_apart(
    program: &Path,
    args: &[OsString],
    cwd: &Path,
    path: Option<&OsStr>,
) -> Option<Launch> {
    if is_python(program) {
        return below_interpreter(program, args, cwd);
    }
    let mut head = Vec::new();
    File::open(program)
        .ok()?
        .take(4096)
        .read_to_end(&mut head)
        .ok()?;
    let (interpreter, flags) = interpreter(&head, program, cwd, path)?;
    let target = LaunchTarget::Script(program.to_owned());
    is_python(&interpreter).then(|| Launch {
        interpreter,
        flags,
        target,
        args: args.to_vec(),
    })
}

fn is_python(program: &Path) -> bool {
    let name = program
        .file_name()
        .and_then(OsStr::to_str)
        .unwrap_or_default();
    name.strip_prefix("python")
        .or_else(|| name.strip_prefix("pypy"))
        .is_some_and(|version| {
            version
                .chars()
                .all(|letter| letter.is_ascii_digit() || letter == '.')
        })
}

/// `python [-u...] -m MODULE ARGS` and `python [-u...] FILE ARGS`.
fn below_interpreter(program: &Path, args: &[OsString], cwd: &Path) -> Option<Launch> {
    // An option with a value would have to be known by name to be stepped over.
    let own = args.iter().take_while(|arg| is_simple_flag(arg)).count();
    let (flags, rest) = args.split_at(own);
    let (target, args) = match rest {
        [minus_m, module, args @ ..] if minus_m == "-m" => {
            (LaunchTarget::Module(module.clone()), args)
        }
        [file, args @ ..] if !file.as_bytes().starts_with(b"-") => {
            (LaunchTarget::Script(cwd.join(file)), args)
        }
        _ => return None,
    };
    Some(Launch {
        interpreter: program.to_owned(),
        flags: flags.to_vec(),
        target,
        args: args.to_vec(),
    })
}

fn is_simple_flag(arg: &OsStr) -> bool {
    matches!(arg.as_bytes(), [b'-', letters @ ..]
        if !letters.is_empty() && letters.iter().all(|letter| b"bBdEIOPqsSuv".contains(letter)))
}

/// The interpreter that a script's first lines name, and its options.
fn interpreter(
    head: &[u8],
    script: &Path,
    cwd: &Path,
    path: Option<&OsStr>,
) -> Option<(PathBuf, Vec<OsString>)> {
    let mut lines = head.strip_prefix(b"#!")?.split(|byte| *byte == b'\n');
    let first = lines.next()?.trim_ascii();
    let (program, rest) = match first.iter().position(u8::is_ascii_whitespace) {
        Some(end) => (&first[..end], first[end..].trim_ascii()),
        None => (first, &b""[..]),
    };
    let program = PathBuf::from(OsStr::from_bytes(program));
    match program.file_name()?.to_str()? {
        "env" => {
            let rest = std::str::from_utf8(rest).ok()?;
            let words = match rest.strip_prefix("-S") {
                Some(rest) => shlex::split(rest)?,
                // Without -S the system hands over the rest as one word.
                None => vec![rest.to_owned()],
            };
            let (name, flags) = words.split_first()?;
            let found = find_program(OsStr::new(name), cwd, path)?;
            Some((found, flags.iter().map(OsString::from).collect()))
        }
        "sh" => Some((exec_line(lines.next()?, script)?, Vec::new())),
        _ => {
            let flags = if rest.is_empty() {
                vec![]
            } else {
                vec![OsString::from_vec(rest.into())]
            };
            Some((program, flags))
        }
    }
}

/// The second line of the form that installers use for paths too long, or with spaces, for a first
/// line: `'''exec' '/path/to/python' "$0" "$@"`. uv writes a path relative to the script, too.
fn exec_line(line: &[u8], script: &Path) -> Option<PathBuf> {
    let command = std::str::from_utf8(line)
        .ok()?
        .trim()
        .strip_prefix("'''exec' ")?;
    let beside = [
        r#""$(dirname -- "$(realpath -- "$0")")"/"#,
        r#""$(dirname "$(realpath "$0")")"/"#,
    ];
    let relative = beside
        .iter()
        .find_map(|prefix| command.strip_prefix(prefix));
    let words = shlex::split(relative.unwrap_or(command))?;
    let named = PathBuf::from(words.first()?);
    match relative {
        Some(_) => Some(script.canonicalize().ok()?.parent()?.join(named)),
        None => named.is_absolute().then_some(named),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_script(text: &str, cwd: &Path) -> Option<Launch> {
        let script = cwd.join("tool");
        std::fs::write(&script, text).unwrap();
        take_apart(&script, &["current".into()], cwd, Some(cwd.as_os_str()))
    }

    fn words(launch: Option<Launch>) -> Option<(String, Vec<String>)> {
        let launch = launch?;
        let flags = launch
            .flags
            .iter()
            .map(|flag| flag.to_string_lossy().into_owned())
            .collect();
        Some((launch.interpreter.to_string_lossy().into_owned(), flags))
    }

    #[test]
    fn first_lines_of_all_installers_are_understood() {
        let folder = tempfile::tempdir().unwrap();
        let cwd = folder.path();
        let python = cwd.join("python3");
        std::fs::copy("/bin/sh", &python).unwrap();
        let here = |name: &str| {
            cwd.canonicalize()
                .unwrap()
                .join(name)
                .to_string_lossy()
                .into_owned()
        };
        let plain = |path: &str| Some((path.to_owned(), vec![]));
        for (text, expected) in [
            ("#!/v/bin/python\nimport sys", plain("/v/bin/python")),
            (
                "#! /v/bin/python3.11 -sE\r\n",
                Some(("/v/bin/python3.11".into(), vec!["-sE".into()])),
            ),
            ("#!/usr/bin/env python3\n", plain(&python.to_string_lossy())),
            (
                "#!/usr/bin/env -S python3 -u -B\n",
                Some((
                    python.to_string_lossy().into_owned(),
                    vec!["-u".into(), "-B".into()],
                )),
            ),
            (
                "#!/bin/sh\n'''exec' '/a b/python' \"$0\" \"$@\"\n' '''\n",
                plain("/a b/python"),
            ),
            (
                "#!/bin/sh\n'''exec' /long/python3 \"$0\" \"$@\"\n' '''\n",
                plain("/long/python3"),
            ),
            (
                "#!/bin/sh\n'''exec' \"$(dirname -- \"$(realpath -- \"$0\")\")\"/'python3' \"$0\" \
                 \"$@\"\n' '''\n",
                plain(&here("python3")),
            ),
            ("#!/bin/sh\nexec alembic \"$@\"\n", None),
            ("#!/usr/bin/env bash\n", None),
            ("#!/usr/bin/env python9\n", None),
            ("\u{7f}ELF", None),
            ("", None),
        ] {
            assert_eq!(words(of_script(text, cwd)), expected, "{text:?}");
        }
    }

    #[test]
    fn an_interpreter_may_be_named_itself() {
        let apart = |args: &[&str]| {
            let args: Vec<OsString> = args.iter().map(OsString::from).collect();
            take_apart(
                Path::new("/v/bin/python3"),
                &args,
                Path::new("/project"),
                None,
            )
        };
        let module = apart(&["-u", "-m", "alembic", "-c", "x.ini"]).unwrap();
        assert_eq!(module.target, LaunchTarget::Module("alembic".into()));
        assert_eq!(
            (module.flags, module.args),
            (vec!["-u".into()], vec!["-c".into(), "x.ini".into()])
        );
        let script = apart(&["manage.py", "db"]).unwrap();
        assert_eq!(
            script.target,
            LaunchTarget::Script("/project/manage.py".into())
        );
        assert_eq!(apart(&["-W", "ignore", "-m", "alembic"]), None);
        assert_eq!(apart(&["-c", "pass"]), None);
    }
}
