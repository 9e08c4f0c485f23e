//! The text of a file with its syntax tree: made once, and shared by all threads that look into it.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use ruff_python_ast::name::Name;
use ruff_python_ast::{ModModule, Suite};

use super::bindings::bound;
use super::limits;

/// The text of a file. It is parsed when its tree is asked for first.
#[derive(Debug, Clone)]
pub struct Source {
    text: Arc<str>,
    tree: Arc<OnceLock<Result<Arc<Tree>, String>>>,
}

impl<Text: Into<Arc<str>>> From<Text> for Source {
    fn from(text: Text) -> Self {
        Self {
            text: text.into(),
            tree: Arc::default(),
        }
    }
}

impl Source {
    /// A text that was parsed already.
    pub fn parsed(text: String, module: ModModule) -> Self {
        let source = Self::from(text);
        let tree = limits::allow(&source.text).map(|()| source.planted(module.body));
        let _ = source.tree.set(tree);
        source
    }

    /// Its statements, or why there are none.
    pub fn tree(&self) -> Result<Arc<Tree>, String> {
        let read = || limits::read(&self.text).map(|body| self.planted(body));
        self.tree.get_or_init(read).clone()
    }

    fn planted(&self, body: Suite) -> Arc<Tree> {
        Arc::new(Tree::new(Arc::clone(&self.text), body))
    }
}

/// The statements of a file.
#[derive(Debug)]
pub struct Tree {
    /// The text that they stand in.
    text: Arc<str>,
    /// The statements.
    pub body: Suite,
    /// Which of them bear on a name.
    index: HashMap<Name, Vec<usize>>,
    /// `from x import *`.
    stars: Vec<usize>,
    /// Where the lines begin.
    lines: OnceLock<Vec<u32>>,
}

impl Tree {
    fn new(text: Arc<str>, body: Suite) -> Self {
        let mut index: HashMap<Name, Vec<usize>> = HashMap::new();
        let mut stars = Vec::new();
        for (number, statement) in body.iter().enumerate() {
            let mut names = Vec::new();
            bound(statement, &mut names);
            for name in names {
                if name.as_str() == "*" {
                    stars.push(number);
                } else {
                    let statements = index.entry(name).or_default();
                    if statements.last() != Some(&number) {
                        statements.push(number);
                    }
                }
            }
        }
        Self {
            text,
            body,
            index,
            stars,
            lines: OnceLock::new(),
        }
    }

    /// The statements that bear on a name.
    pub fn statements_of(&self, name: &str) -> &[usize] {
        self.index.get(name).map_or(&[], Vec::as_slice)
    }

    /// The statements that import everything of another module.
    pub fn stars(&self) -> &[usize] {
        &self.stars
    }

    /// The line and the column at an offset, both from 1.
    pub fn position(&self, offset: u32) -> (u32, u32) {
        let lines = self.lines.get_or_init(|| {
            let bytes = self.text.bytes().zip(1_u32..);
            let ends = bytes.filter(|(byte, _)| *byte == b'\n');
            std::iter::once(0)
                .chain(ends.map(|(_, next)| next))
                .collect()
        });
        let line = lines.partition_point(|start| *start <= offset).max(1);
        let start = lines.get(line - 1).copied().unwrap_or(0) as usize;
        let column = self
            .text
            .get(start..offset as usize)
            .map_or(0, |text| text.chars().count());
        (
            u32::try_from(line).unwrap_or(u32::MAX),
            u32::try_from(column).unwrap_or(u32::MAX).saturating_add(1),
        )
    }
}
