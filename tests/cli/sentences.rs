//! No decision depends on the words of our own sentences.
//!
//! A sentence is built from values for somebody to read. Code that searches it finds another name in it, or breaks when
//! the wording changes; so it gets the values. What other programs say has to be searched, by the modules listed here.

use std::fs;
use std::path::Path;

use syn::parse::{ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{
    Attribute, BinOp, Block, Expr, ImplItemFn, ItemFn, ItemMod, Lit, Local, Macro, Member, Pat,
    Token,
};

use crate::support::source;

/// The names of variables, fields and methods that hold sentences.
const SENTENCES: &str = "\
    advice because cause causes error failure fault faults finding hint hints leftover leftovers meaning message \
    messages reason reasons refusal remedy report sentence sentences title warning why";

/// The names of texts of any kind, which most parsers use too.
const TEXTS: &str = "said text told words";

/// What reads the words of other programs: servers, their tools, Alembic.
const READERS: &[&str] = &[
    "crates/database/src/backup/postgres/load.rs",
    "crates/database/src/sqlite_connection.rs",
    "crates/diagnosis/src/",
    "crates/core/src/rendering.rs",
];

/// What reads a language or a format, under the names of [`TEXTS`].
const PARSERS: &[&str] = &[
    "src/app/connection.rs",
    "src/commands/sql/template.rs",
    "src/config/",
    "crates/database/src/backup/",
    "crates/database/src/evidence/",
    "crates/database/src/postgres.rs",
    "crates/database/src/schema_sqlite.rs",
    "crates/database/src/url.rs",
    "crates/core/src/lock.rs",
    "crates/core/src/policy/window.rs",
    "crates/forecast/src/risk/objects.rs",
    "crates/forecast/src/risk/verdict.rs",
    "crates/core/src/run_report/markdown.rs",
    "crates/schema/src/",
    "crates/core/src/secret.rs",
    "crates/sql/src/",
    "crates/sql-files/src/",
    "crates/core/src/untrusted.rs",
    "crates/alembic/src/",
    "crates/forecast/src/python/",
    "crates/python-source/src/",
    "src/ui/prompt.rs",
    "src/ui/terminal.rs",
];

/// Methods that search a text or take it apart.
const SEARCHES: &str = "\
    captures captures_iter contains ends_with find is_match match_indices matches rfind rsplit rsplit_once rsplitn \
    split split_at split_once splitn starts_with strip_prefix strip_suffix trim_end_matches trim_start_matches";

/// Methods whose result is the same text, or texts of the same collection.
const VIEWS: &str = "\
    as_deref as_ref as_str chain clone cloned copied filter first flatten get into_iter is_some_and iter last lines \
    map next rev skip take to_ascii_lowercase to_lowercase to_owned to_string trim trim_end trim_start unwrap \
    unwrap_or unwrap_or_default";

#[derive(Default)]
struct Scan {
    parses_texts: bool,
    /// Variables that are bound to a sentence.
    bound: Vec<String>,
    found: Vec<String>,
}

impl Scan {
    fn of(code: &str, parses_texts: bool) -> Vec<String> {
        let mut scan = Self {
            parses_texts,
            ..Self::default()
        };
        scan.visit_file(&syn::parse_file(code).expect("Rust"));
        scan.found
    }

    /// The name of a sentence.
    fn sentence(&self, expr: &Expr) -> Option<String> {
        let name = match expr {
            Expr::Path(path) => path.path.segments.last()?.ident.to_string(),
            Expr::Field(field) => match &field.member {
                Member::Named(name) => name.to_string(),
                Member::Unnamed(_) => return self.sentence(&field.base),
            },
            Expr::MethodCall(call) if is_in(VIEWS, &call.method.to_string()) => {
                return self.sentence(&call.receiver);
            }
            Expr::MethodCall(call) => call.method.to_string(),
            Expr::Index(index) => return self.sentence(&index.expr),
            Expr::Paren(paren) => return self.sentence(&paren.expr),
            Expr::Reference(reference) => return self.sentence(&reference.expr),
            Expr::Try(tried) => return self.sentence(&tried.expr),
            Expr::Unary(unary) => return self.sentence(&unary.expr),
            Expr::Macro(call) if call.mac.path.is_ident("format") => {
                return Some("format!".to_owned());
            }
            _ => return None,
        };
        let is_text = !self.parses_texts && is_in(TEXTS, &name);
        (is_text || is_in(SENTENCES, &name) || self.bound.contains(&name)).then_some(name)
    }

    /// Notes the variables of a pattern that is matched with a sentence.
    fn bind(&mut self, pattern: &Pat) {
        match pattern {
            Pat::Ident(ident) => self.bound.push(ident.ident.to_string()),
            Pat::Reference(reference) => self.bind(&reference.pat),
            Pat::Tuple(tuple) => tuple.elems.iter().for_each(|one| self.bind(one)),
            Pat::TupleStruct(variant) => {
                let is_wrapper = ["Some", "Ok", "Err"]
                    .iter()
                    .any(|name| variant.path.is_ident(name));
                if is_wrapper {
                    variant.elems.iter().for_each(|one| self.bind(one));
                }
            }
            _ => {}
        }
    }

    /// Forgets the variables that are bound inside.
    fn within(&mut self, attributes: &[Attribute], visit: impl FnOnce(&mut Self)) {
        if !is_test(attributes) {
            let outer = self.bound.len();
            visit(self);
            self.bound.truncate(outer);
        }
    }
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let condition = attribute
            .meta
            .require_list()
            .map(|list| list.tokens.to_string());
        attribute.path().is_ident("test")
            || attribute.path().is_ident("cfg")
                && condition.is_ok_and(|condition| condition == "test")
    })
}

fn is_in(list: &str, name: &str) -> bool {
    list.split(' ').any(|one| one == name)
}

fn is_literal(expr: &Expr) -> bool {
    match expr {
        Expr::Lit(literal) => matches!(literal.lit, Lit::Str(_)),
        Expr::Reference(reference) => is_literal(&reference.expr),
        _ => false,
    }
}

impl<'ast> Visit<'ast> for Scan {
    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        self.within(&module.attrs, |scan| visit::visit_item_mod(scan, module));
    }

    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        self.within(&function.attrs, |scan| visit::visit_item_fn(scan, function));
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        self.within(&function.attrs, |scan| {
            visit::visit_impl_item_fn(scan, function);
        });
    }

    fn visit_block(&mut self, block: &'ast Block) {
        self.within(&[], |scan| visit::visit_block(scan, block));
    }

    fn visit_local(&mut self, local: &'ast Local) {
        if let Some(init) = &local.init
            && self.sentence(&init.expr).is_some()
        {
            self.bind(&local.pat);
        }
        visit::visit_local(self, local);
    }

    fn visit_expr_let(&mut self, one: &'ast syn::ExprLet) {
        if self.sentence(&one.expr).is_some() {
            self.bind(&one.pat);
        }
        visit::visit_expr_let(self, one);
    }

    fn visit_expr_match(&mut self, one: &'ast syn::ExprMatch) {
        if self.sentence(&one.expr).is_some() {
            one.arms.iter().for_each(|arm| self.bind(&arm.pat));
        }
        visit::visit_expr_match(self, one);
    }

    fn visit_expr_for_loop(&mut self, one: &'ast syn::ExprForLoop) {
        if self.sentence(&one.expr).is_some() {
            self.bind(&one.pat);
        }
        visit::visit_expr_for_loop(self, one);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        let method = call.method.to_string();
        let searched = match method.as_str() {
            "is_match" | "captures" | "captures_iter" => call.args.first(),
            _ => Some(&*call.receiver),
        };
        let takes_closure = call
            .args
            .iter()
            .any(|argument| matches!(argument, Expr::Closure(_)));
        let name = searched.and_then(|searched| self.sentence(searched));
        if let Some(name) = &name
            && is_in(SEARCHES, &method)
            && !takes_closure
        {
            self.found.push(format!("{name}.{method}"));
        }
        for argument in &call.args {
            if let (Expr::Closure(closure), Some(_)) = (argument, &name) {
                closure.inputs.iter().for_each(|input| self.bind(input));
            }
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_expr_binary(&mut self, binary: &'ast syn::ExprBinary) {
        if matches!(binary.op, BinOp::Eq(_) | BinOp::Ne(_)) {
            for (one, other) in [(&binary.left, &binary.right), (&binary.right, &binary.left)] {
                if let Some(name) = self.sentence(one).filter(|_| is_literal(other)) {
                    self.found.push(format!("{name} == \"...\""));
                }
            }
        }
        visit::visit_expr_binary(self, binary);
    }

    /// What is in a macro such as `format!` or `matches!`.
    fn visit_macro(&mut self, call: &'ast Macro) {
        let list = Punctuated::<Expr, Token![,]>::parse_terminated;
        let guard = |input: ParseStream<'_>| {
            let matched: Expr = input.parse()?;
            input.parse::<Token![,]>()?;
            let pattern = Pat::parse_multi_with_leading_vert(input)?;
            input.parse::<Token![if]>()?;
            let guard: Expr = input.parse()?;
            input.parse::<Option<Token![,]>>()?;
            Ok((matched, pattern, guard))
        };
        if let Ok(all) = list.parse2(call.tokens.clone()) {
            all.iter().for_each(|one| self.visit_expr(one));
        } else if let Ok((matched, pattern, guard)) = guard.parse2(call.tokens.clone()) {
            if self.sentence(&matched).is_some() {
                self.bind(&pattern);
            }
            self.visit_expr(&matched);
            self.visit_expr(&guard);
        }
    }
}

fn scan(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let place = path
            .strip_prefix(source())
            .expect("below the source")
            .display()
            .to_string();
        let begins_in = |list: &[&str]| list.iter().any(|begin| place.starts_with(begin));
        let is_test = ["tests.rs", "fuzz.rs", "testing.rs", "tests"]
            .iter()
            .any(|end| place.ends_with(end));
        if is_test || begins_in(READERS) {
            continue;
        }
        if path.is_dir() {
            scan(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let code = fs::read_to_string(&path).expect("a readable file");
            let places = Scan::of(&code, begins_in(PARSERS));
            found.extend(places.into_iter().map(|what| format!("{place}: {what}")));
        }
    }
}

#[test]
fn no_sentence_of_ours_is_searched() {
    let mut found = Vec::new();
    for root in ["src", "crates"] {
        scan(&source().join(root), &mut found);
    }
    assert!(
        found.is_empty(),
        "pass a value along instead of searching a sentence:\n{}",
        found.join("\n")
    );
}

/// Turns red if the check above no longer sees what was once in the program.
#[test]
fn searches_of_sentences_are_seen() {
    for (code, expected) in [
        (
            r#"faults.filter(|fault| !fault.starts_with("the constraint "))"#,
            "fault.starts_with",
        ),
        (
            "faults.retain(|one| !one.ends_with(&copy))",
            "one.ends_with",
        ),
        (
            "matches!(x, Some(evidence) if !finding.sentence.contains(&evidence.sentence))",
            "sentence.contains",
        ),
        (
            r#"match point.remedy.as_deref() { Some(flag) if flag.starts_with("--") => {} _ => {} }"#,
            "flag.starts_with",
        ),
        (
            r#"failure.message.rsplit_once(": ")"#,
            "message.rsplit_once",
        ),
        (r#"error.to_string().contains("exists")"#, "error.contains"),
        (
            r#"if let Some(why) = step.why() { why.trim().split(": ").next(); }"#,
            "why.split",
        ),
        (
            r#"let first = &failure.causes[0]; first.split_once(" table ")"#,
            "first.split_once",
        ),
        ("PATTERN.is_match(&finding.advice)", "advice.is_match"),
        (r#"format!("{}", text.ends_with("."))"#, "text.ends_with"),
        (r#"reason == "it was dropped""#, "reason == \"...\""),
    ] {
        let code = format!("fn f() {{ {code}; }}");
        assert_eq!(Scan::of(&code, false), [expected], "{code}");
    }
    for code in [
        "names.contains(&name)",
        "finding.code == FindingCode::Merge",
        "causes.iter().find(|one| one.is_new)",
    ] {
        let code = format!("fn f() {{ {code}; }}");
        assert!(Scan::of(&code, false).is_empty(), "{code}");
    }
}
