//! Objects besides tables: routines, triggers, policies, extensions, publications.
//!
//! The parser knows some of these statements only in part. What matters of them stands at their beginning, and is
//! read from the tokens.

use sqlparser::ast::Ident;
use sqlparser::tokenizer::Token;

use super::statement::Names;
use crate::domain::dialect::Dialect;
use crate::domain::operation::{ObjectKind, Operation, SchemaObject, TableName};

/// What a statement about such an object does; `None` for any other statement, and for what is not known.
pub(super) fn read(tokens: &[Token], names: Names) -> Option<Vec<Operation>> {
    let mut reader = Reader {
        tokens,
        names,
        at: 0,
    };
    if reader.takes(&["CREATE"]) {
        reader.create()
    } else if reader.takes(&["DROP"]) {
        reader.drop()
    } else if reader.takes(&["ALTER", "PUBLICATION"]) {
        reader.alter_publication()
    } else if names.0 == Dialect::Postgres && reader.takes(&["ALTER", "INDEX"]) {
        reader.rename_index()
    } else {
        None
    }
}

/// Whether the statement does or may do more than its operations say: a rule and an event trigger change what later
/// statements do, and behind a body with a `;` may stand anything.
pub(super) fn does_more(operations: &[Operation], tokens: &[Token]) -> bool {
    operations.iter().any(|operation| {
        matches!(operation, Operation::CreateObject { object, .. }
            if matches!(object.kind, ObjectKind::Rule | ObjectKind::EventTrigger)
                || tokens.contains(&Token::SemiColon))
    })
}

/// The objects that can be made and dropped, by the words after `CREATE` and `DROP`.
const KINDS: [(&[&str], ObjectKind); 10] = [
    (&["FUNCTION"], ObjectKind::Function),
    (&["PROCEDURE"], ObjectKind::Procedure),
    (&["AGGREGATE"], ObjectKind::Aggregate),
    (&["TRIGGER"], ObjectKind::Trigger),
    (&["EVENT", "TRIGGER"], ObjectKind::EventTrigger),
    (&["RULE"], ObjectKind::Rule),
    (&["POLICY"], ObjectKind::Policy),
    (&["DOMAIN"], ObjectKind::Domain),
    (&["EXTENSION"], ObjectKind::Extension),
    (&["PUBLICATION"], ObjectKind::Publication),
];

struct Reader<'a> {
    tokens: &'a [Token],
    names: Names,
    at: usize,
}

impl Reader<'_> {
    fn token(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn is_at_end(&self) -> bool {
        self.at >= self.tokens.len()
    }

    fn is_word(token: Option<&Token>, wanted: &str) -> bool {
        matches!(token, Some(Token::Word(word)) if word.quote_style.is_none()
            && word.value.eq_ignore_ascii_case(wanted))
    }

    /// Goes past these words, if they stand here.
    fn takes(&mut self, words: &[&str]) -> bool {
        let here = words
            .iter()
            .enumerate()
            .all(|(offset, word)| Self::is_word(self.tokens.get(self.at + offset), word));
        if here {
            self.at += words.len();
        }
        here
    }

    fn takes_token(&mut self, token: &Token) -> bool {
        let here = self.token() == Some(token);
        if here {
            self.at += 1;
        }
        here
    }

    fn part(&mut self) -> Option<String> {
        let Some(Token::Word(word)) = self.token() else {
            return None;
        };
        let name = match word.quote_style {
            Some(quote) => Ident::with_quote(quote, &word.value),
            None => Ident::new(&word.value),
        };
        self.at += 1;
        Some(self.names.name(&name))
    }

    fn name(&mut self) -> Option<TableName> {
        let mut parts = vec![self.part()?];
        while self.takes_token(&Token::Period) {
            parts.push(self.part()?);
        }
        let name = parts.pop()?;
        Some(TableName {
            schema: parts.pop(),
            name,
        })
    }

    /// Goes to the first of the words that stands outside of brackets, and past it.
    fn goes_past(&mut self, word: &str) -> Option<()> {
        let mut depth = 0_usize;
        while let Some(token) = self.token() {
            match token {
                Token::LParen => depth += 1,
                Token::RParen => depth = depth.saturating_sub(1),
                token if depth == 0 && Self::is_word(Some(token), word) => {
                    self.at += 1;
                    return Some(());
                }
                _ => {}
            }
            self.at += 1;
        }
        None
    }

    /// What stands in the brackets that begin here, each part between two commas in its words.
    fn group(&mut self) -> Option<Vec<Vec<String>>> {
        if !self.takes_token(&Token::LParen) {
            return None;
        }
        let mut depth = 0_usize;
        let mut parts = vec![Vec::new()];
        loop {
            let token = self.token()?.clone();
            self.at += 1;
            match &token {
                Token::RParen if depth == 0 => break,
                Token::Comma if depth == 0 => {
                    parts.push(Vec::new());
                    continue;
                }
                Token::LParen => depth += 1,
                Token::RParen => depth -= 1,
                _ => {}
            }
            parts.last_mut()?.push(token.to_string().to_lowercase());
        }
        parts.retain(|part| !part.is_empty());
        Some(parts)
    }

    fn object(kind: ObjectKind, name: TableName, table: Option<TableName>) -> SchemaObject {
        SchemaObject {
            kind,
            name,
            table,
            arguments: None,
        }
    }

    /// Goes past the words of a kind: one that can be made and dropped, or one of those that `also` fit here.
    fn kind(&mut self, also: &[(&[&str], ObjectKind)]) -> Option<ObjectKind> {
        let mut known = KINDS.iter().chain(also);
        known.find_map(|(words, kind)| self.takes(words).then_some(*kind))
    }

    fn create(&mut self) -> Option<Vec<Operation>> {
        use ObjectKind as Kind;
        let mut may_exist = self.takes(&["OR", "REPLACE"]);
        let kind = self.kind(&[
            (&["CONSTRAINT", "TRIGGER"], Kind::Trigger),
            (&["TYPE"], Kind::Type),
        ])?;
        may_exist |= self.takes(&["IF", "NOT", "EXISTS"]);
        let name = self.name()?;
        let mut object = Self::object(kind, name, None);
        let mut rights = None;
        match kind {
            Kind::Function | Kind::Procedure | Kind::Aggregate => object.arguments = self.group(),
            Kind::Trigger => {
                self.goes_past("ON")?;
                object.table = Some(self.name()?);
            }
            Kind::Rule => {
                self.goes_past("TO")?;
                object.table = Some(self.name()?);
            }
            Kind::Policy => {
                if !self.takes(&["ON"]) {
                    return None;
                }
                object.table = Some(self.name()?);
                let forbids = self.takes(&["AS", "RESTRICTIVE"]);
                let change = Operation::ChangeRights {
                    loosens: !forbids,
                    table: object.table.clone(),
                    sql: String::new(),
                };
                if forbids {
                    return Some(vec![change]);
                }
                rights = Some(change);
            }
            // An enum has its words, which are looked at.
            Kind::Type if self.takes(&["AS", "ENUM"]) => return None,
            Kind::Publication => {
                rights = Some(Operation::ChangeRights {
                    loosens: true,
                    table: None,
                    sql: String::new(),
                });
            }
            _ => {}
        }
        let made = Operation::CreateObject { object, may_exist };
        Some(rights.into_iter().chain([made]).collect())
    }

    fn drop(&mut self) -> Option<Vec<Operation>> {
        use ObjectKind as Kind;
        let kind = self.kind(&[(&["ROUTINE"], Kind::Function)])?;
        self.takes(&["IF", "EXISTS"]);
        let mut dropped = Vec::new();
        loop {
            let name = self.name()?;
            let mut object = Self::object(kind, name, None);
            match kind {
                Kind::Function | Kind::Procedure | Kind::Aggregate => {
                    object.arguments = self.group();
                }
                Kind::Trigger | Kind::Rule | Kind::Policy if self.takes(&["ON"]) => {
                    object.table = Some(self.name()?);
                }
                _ => {}
            }
            dropped.push(Operation::DropObject { object });
            if !self.takes_token(&Token::Comma) {
                break;
            }
        }
        let cascade = self.takes(&["CASCADE"]);
        self.takes(&["RESTRICT"]);
        // What goes with a trigger, a policy and so on is nothing. With a function or a type columns may go.
        let alone = matches!(
            kind,
            Kind::Trigger | Kind::EventTrigger | Kind::Rule | Kind::Policy | Kind::Publication
        );
        (self.is_at_end() && (alone || !cascade)).then_some(dropped)
    }

    fn alter_publication(&mut self) -> Option<Vec<Operation>> {
        let publication = self.name()?;
        let adds = self.takes(&["ADD", "TABLE"]);
        if !adds && !self.takes(&["DROP", "TABLE"]) {
            return None;
        }
        let mut operations = Vec::new();
        loop {
            self.takes(&["ONLY"]);
            let table = self.name()?;
            self.takes_token(&Token::Mul);
            self.group();
            if self.takes(&["WHERE"]) {
                self.group()?;
            }
            let object = Self::object(
                ObjectKind::PublishedTable,
                publication.clone(),
                Some(table.clone()),
            );
            if adds {
                operations.push(Operation::ChangeRights {
                    loosens: true,
                    table: Some(table),
                    sql: String::new(),
                });
                operations.push(Operation::CreateObject {
                    object,
                    may_exist: false,
                });
            } else {
                operations.push(Operation::DropObject { object });
            }
            if !self.takes_token(&Token::Comma) {
                break;
            }
            self.takes(&["TABLE"]);
        }
        self.is_at_end().then_some(operations)
    }

    fn rename_index(&mut self) -> Option<Vec<Operation>> {
        let if_exists = self.takes(&["IF", "EXISTS"]);
        let name = self.name()?;
        if !self.takes(&["RENAME", "TO"]) {
            return None;
        }
        let to = self.part()?;
        self.is_at_end().then(|| {
            vec![Operation::RenameIndex {
                name,
                to,
                if_exists,
            }]
        })
    }
}
