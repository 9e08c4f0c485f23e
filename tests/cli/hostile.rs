//! Version files that were made, or grew, to lead a reader astray: each ends in a finding or in a
//! sentence, in bounded time.
//!
//! Turns red at a crash, at a hang, and where such a file is passed over without a word.

use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use crate::support::{Project, Run};

const HEAD: &str = "migrations/versions/5e6f7a8b9c05_add_a_note_to_orders.py";

/// For one plan. A reader that goes astray takes for ever or all memory; machines differ.
const PATIENCE: Duration = Duration::from_mins(1);

/// The head of the fixture with other code above and in its downgrade.
fn head(above: &str, body: &str) -> String {
    let body: String = body.lines().map(|line| format!("    {line}\n")).collect();
    format!(
        "\"\"\"Head\"\"\"\nimport sqlalchemy as sa\nfrom alembic import op\n\n\
         revision = \"5e6f7a8b9c05\"\ndown_revision = \"4d5e6f7a8b04\"\n{above}\n\n\
         def upgrade():\n    pass\n\n\ndef downgrade():\n{body}"
    )
}

fn plan(project: &Project, flags: &str) -> Run {
    let line = format!(
        "plan base {flags} --database-url sqlite:///{}",
        project.database().display()
    );
    let begun = Instant::now();
    let run = project.run(&line);
    assert!(begun.elapsed() < PATIENCE, "{:?}\n{run}", begun.elapsed());
    assert!(!run.stderr.contains("panicked"), "{run}");
    run
}

fn at_head() -> Project {
    Project::alembic("linear").at("heads")
}

/// A file that would lead astray: its name here, what stands above the functions, the body of
/// `downgrade`, and the code and a part of the sentence of a finding of it.
type Case = (&'static str, String, String, &'static str, &'static str);

const UNKNOWN: &str = "unknown-code";

/// Deeper and larger than what is written by hand, and loaded by Python all the same.
fn deep_and_large() -> Vec<Case> {
    let none = String::new;
    let nested = |open: &str, close: &str, deep| {
        format!("op.execute({}'x'{})", open.repeat(deep), close.repeat(deep))
    };
    let blocks: String = (0..90)
        .map(|depth| format!("{}if op.get_bind():\n", " ".repeat(depth)))
        .chain([format!("{}op.drop_table('t')", " ".repeat(90))])
        .collect();
    let sum = format!("x = 0{}", " + 1".repeat(900));
    let chain = format!("x = ''{}", ".strip()".repeat(900));
    let long = format!("op.execute('{}')", "x".repeat(3_000_000));
    let sql = format!(
        "op.execute('SELECT {}1{}')",
        "(".repeat(9_000),
        ")".repeat(9_000)
    );
    let many = format!("op.execute('{}')", "DROP TABLE t; ".repeat(50_000));
    let comment = format!("pass\n{}", "# nothing to see here\n".repeat(480_000));
    let table = format!("ROWS = [{}]", "'0123456789',".repeat(800_000));
    let apart = "runs a statement that cannot be taken apart";
    vec![
        (
            "brackets",
            none(),
            nested("[", "]", 190),
            UNKNOWN,
            "line 14 is nested too deeply",
        ),
        ("calls", none(), nested("str(", ")", 90), UNKNOWN, apart),
        (
            "blocks",
            none(),
            blocks,
            "object-missing",
            "table t does not exist",
        ),
        (
            "a sum",
            none(),
            sum,
            UNKNOWN,
            "line 14 is nested too deeply",
        ),
        (
            "a chain of methods",
            none(),
            chain,
            UNKNOWN,
            "line 14 is nested too deeply",
        ),
        ("a long text", none(), long, UNKNOWN, apart),
        ("SQL in brackets", none(), sql, UNKNOWN, apart),
        (
            "many statements",
            none(),
            many,
            "not-supported",
            "the driver takes one statement at a time",
        ),
        (
            "ten megabytes of comment",
            none(),
            comment,
            UNKNOWN,
            "it has 12480170 bytes",
        ),
        (
            "ten megabytes of a table",
            table,
            "pass".to_owned(),
            UNKNOWN,
            "it has 10400179 bytes",
        ),
    ]
}

/// Code that is short and would take for ever, or all memory, if it were only run.
fn without_end() -> Vec<Case> {
    let apart = "runs a statement that cannot be taken apart";
    let what = "does what cannot be followed: ";
    let twice = "x = x + x\n".repeat(64);
    let cases = [
        (
            "a text that grows",
            "",
            "op.execute('x' * 10 ** 11)",
            UNKNOWN,
            apart,
        ),
        (
            "a number that grows",
            "",
            "op.execute(str(9 ** 9 ** 9 ** 9))",
            UNKNOWN,
            apart,
        ),
        (
            "a shift",
            "",
            "op.execute(str(1 << (1 << 60)))",
            UNKNOWN,
            apart,
        ),
        (
            "a width",
            "",
            "op.execute('%999999999999d' % 1)",
            UNKNOWN,
            apart,
        ),
        (
            "another width",
            "",
            "op.execute(f'{1:>999999999999}')",
            UNKNOWN,
            apart,
        ),
        (
            "doubled texts",
            "",
            &format!("x = 'x'\n{twice}op.execute(x)"),
            UNKNOWN,
            apart,
        ),
        (
            "a list in itself",
            "",
            "x = []\nx.append(x)\nx == [x]\nop.execute(str(x))",
            UNKNOWN,
            apart,
        ),
        (
            "doubled lists",
            "",
            &format!("x = ['t']\n{twice}for t in x:\n    op.drop_table(t)"),
            "object-missing",
            "table t does not exist",
        ),
        (
            "a list that grows",
            "",
            "for t in ['t'] * 10 ** 11:\n    op.drop_table(t)",
            UNKNOWN,
            "perhaps does what cannot be followed",
        ),
        (
            "a loop without end",
            "",
            "while True:\n    pass",
            UNKNOWN,
            what,
        ),
        (
            "a long loop",
            "",
            "for n in range(10 ** 12):\n    op.drop_table(f't{n}')",
            UNKNOWN,
            "perhaps does what cannot be followed",
        ),
        (
            "loops in loops",
            "N = range(999)\n",
            "for a in N:\n    for b in N:\n        for c in N:\n            op.get_bind()",
            UNKNOWN,
            what,
        ),
        (
            "recursion",
            "def f(n):\n    return f(n + 1) + f(n + 2)\n",
            "f(0)",
            UNKNOWN,
            what,
        ),
        (
            "a generator without end",
            "def g():\n    while True:\n        yield 't'\n",
            "for t in g():\n    op.drop_table(t)",
            UNKNOWN,
            what,
        ),
    ];
    let owned = cases.map(|(name, above, body, code, part)| {
        (name, above.to_owned(), body.to_owned(), code, part)
    });
    owned.into()
}

#[test]
fn what_alembic_loads_is_planned_with_a_finding() {
    for (name, above, body, code, part) in [deep_and_large(), without_end()].concat() {
        let project = at_head().file(HEAD, head(&above, &body));
        let run = plan(&project, "--format json").exits(0);
        let plan = run.json();
        assert_eq!(plan["steps"].as_array().unwrap().len(), 5, "{name}\n{run}");
        let findings = plan["steps"][0]["findings"].as_array().unwrap();
        assert!(
            findings.iter().any(|finding| {
                let sentence = finding["sentence"].as_str().unwrap();
                finding["code"] == code && sentence.contains(part) && sentence.len() < 400
            }),
            "{name}: {findings:#?}"
        );
        // For people it is as short.
        assert!(
            run.stdout.len() < 20_000,
            "{name}: {} bytes",
            run.stdout.len()
        );
    }
}

/// What Python cannot load is told in its words, and the file is named.
#[test]
fn what_alembic_does_not_load_is_told() {
    let above = |text: String| head(&text, "pass").into_bytes();
    let deep = |open: &str, close: &str, deep| {
        above(format!("x = {}1{}", open.repeat(deep), close.repeat(deep)))
    };
    let blocks = (0..500).map(|depth| format!("{}if 1:\n", " ".repeat(depth)));
    let noise = (0..200_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[1]);
    let cases: [(&str, Vec<u8>); 10] = [
        ("brackets", deep("(", ")", 100_000)),
        ("open brackets", deep("(", "", 100_000)),
        ("open f-strings", deep("f'{", "", 10_000)),
        ("a sum", deep("", " + 1", 1_000_000)),
        ("minus signs", deep("-", "", 1_000_000)),
        ("not", deep("not ", "", 1_000_000)),
        ("lambdas", deep("lambda: ", "", 100_000)),
        ("blocks", above(blocks.collect())),
        (
            "a zero byte",
            [head("", "pass").as_bytes(), b"\0\n"].concat(),
        ),
        ("noise", noise.collect()),
    ];
    for (name, file) in cases {
        let project = at_head().file(HEAD, file);
        let run = plan(&project, "").exits(1);
        assert!(run.stdout.is_empty(), "{name}\n{run}");
        let told = [
            "SyntaxError",
            "IndentationError",
            "RecursionError",
            "MemoryError",
        ];
        assert!(
            told.iter().any(|error| run.stderr.contains(error)) && !run.stderr.contains("<frozen"),
            "{name}\n{run}"
        );
        assert!(run.stderr.len() < 2_000, "{name}\n{run}");
    }
}

/// Some versions of Python load what is not UTF-8 where it stands in a comment, and some do not.
#[test]
fn bytes_that_are_no_text_end_in_a_finding_or_a_sentence() {
    for bytes in [&b"# \xff\xfe\xc3\x28\n"[..], b"x = '\xff\xfe'\n"] {
        let file = [head("", "op.drop_table('t')").as_bytes(), bytes].concat();
        let project = at_head().file(HEAD, file);
        let run = plan(&project, "");
        let told = match run.code {
            Some(0) => run.stdout.contains("[unknown-code]"),
            Some(1) => run.stderr.contains("SyntaxError"),
            _ => false,
        };
        assert!(told, "{run}");
    }
}

/// What Python decodes is followed, or named with the encoding that is not known here.
#[test]
fn a_file_in_another_encoding_is_followed_or_named() {
    for (encoding, code, part) in [
        ("latin-1", "object-missing", "table t does not exist"),
        ("cp1252", "object-missing", "table t does not exist"),
        (
            "koi8-r",
            "unknown-code",
            "versions/5e6f7a8b9c05_add_a_note_to_orders.py: it is written in koi8-r",
        ),
    ] {
        let coding = format!("# -*- coding: {encoding} -*-\n").into_bytes();
        let code_of_file = head("", "op.drop_table('t')").into_bytes();
        let file = [coding, code_of_file, b"x = '\xe4\xdf'\n".to_vec()].concat();
        let run = plan(&at_head().file(HEAD, file), "--format json").exits(0);
        let plan = run.json();
        let findings = plan["steps"][0]["findings"].as_array().unwrap();
        assert!(
            findings.iter().any(|finding| finding["code"] == code
                && finding["sentence"].as_str().unwrap().contains(part)),
            "{encoding}: {findings:#?}"
        );
    }
}

#[test]
fn links_that_lead_to_themselves_end() {
    let project = at_head();
    let versions = project.root().join("migrations/versions");
    symlink("loop.py", versions.join("loop.py")).unwrap();
    let run = plan(&project, "").exits(1);
    assert!(run.stderr.contains("versions/loop.py"), "{run}");

    let project = at_head().edit(
        "alembic.ini",
        "[alembic]",
        "[alembic]\nrecursive_version_locations = true",
    );
    let versions = project.root().join("migrations/versions");
    symlink(".", versions.join("itself")).unwrap();
    symlink("../versions", versions.join("again")).unwrap();
    let run = plan(&project, "").exits(0);
    assert!(run.stdout.contains("Rollback plan: 5 steps"), "{run}");
}
