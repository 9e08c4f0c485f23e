//! Conditions and loops: where ways part and meet again.

use super::interpreter::{Evaluated, Interpreter};
use super::statements::{Outcome, ROUNDS};
use super::value::{UNKNOWN, Value};
use crate::SideEffect;
use python_source::bindings::assigned;
use ruff_python_ast::name::Name;
use ruff_python_ast::{Expr, Stmt};

impl Interpreter<'_> {
    /// Goes a way that may not be gone.
    pub(super) fn uncertainly(&mut self, inside: impl FnOnce(&mut Self) -> Outcome) -> Outcome {
        let names = self.save();
        self.doubt += 1;
        let mut outcome = inside(self);
        self.doubt -= 1;
        self.join(&names);
        outcome.normal = true;
        outcome
    }

    pub(super) fn choose(&mut self, test: &ruff_python_ast::StmtIf) -> Evaluated<Outcome> {
        let first = std::iter::once((Some(&*test.test), &test.body[..]));
        let others = test
            .elif_else_clauses
            .iter()
            .map(|clause| (clause.test.as_ref(), &clause.body[..]));
        let mut total = Outcome::default();
        // The names as they are where the ways that were gone so far have met.
        let mut met: Option<super::interpreter::Names> = None;
        let mut before: Option<super::interpreter::Names> = None;
        let doubt = self.doubt;
        let mut open = true;
        for (test, body) in first.chain(others) {
            let truth = match test {
                None => Some(true),
                Some(test) => {
                    let value = match self.evaluate(test) {
                        Ok(value) => value,
                        Err(raised) => {
                            total.add(Outcome::raised(raised));
                            open = false;
                            break;
                        }
                    };
                    match self.truth(&value) {
                        Ok(truth) => truth,
                        Err(raised) => {
                            total.add(Outcome::raised(raised));
                            open = false;
                            break;
                        }
                    }
                }
            };
            match truth {
                Some(false) => {}
                Some(true) => {
                    let outcome = self.block(body);
                    if outcome.normal || outcome.broke || outcome.continued {
                        self.meet(&mut met);
                    }
                    total.add(outcome);
                    open = false;
                    break;
                }
                None => {
                    self.doubt = doubt + 1;
                    before = Some(self.save());
                    let outcome = self.block(body);
                    if outcome.normal || outcome.broke || outcome.continued {
                        self.meet(&mut met);
                    }
                    total.add(outcome);
                    if let Some(before) = &before {
                        self.restore(before.clone());
                    }
                }
            }
        }
        self.doubt = doubt;
        if open {
            total.normal = true;
            if before.is_some() {
                self.meet(&mut met);
            }
        }
        if let Some(met) = met {
            self.restore(met);
        }
        Ok(total)
    }

    pub(super) fn meet(&self, met: &mut Option<super::interpreter::Names>) {
        if let Some(others) = met {
            self.join(others);
        }
        *met = Some(self.save());
    }

    pub(super) fn each(&mut self, each: &ruff_python_ast::StmtFor) -> Evaluated<Outcome> {
        if each.is_async {
            self.unknown("an asynchronous loop", SideEffect::Schema)?;
        }
        let values = self.evaluate(&each.iter)?;
        let mut total = Outcome::default();
        let doubt = self.doubt;
        let mut broken = false;
        if let Some((items, open)) = self.elements(&values)? {
            for item in items {
                let round = if item.certain {
                    self.round(&each.target, item.value, &each.body)
                } else {
                    self.uncertainly(|machine| machine.round(&each.target, item.value, &each.body))
                };
                let stop = !round.normal && !round.continued;
                broken |= round.broke;
                let exits = round.broke || round.returned.is_some() || round.raised.is_some();
                total.add_exits(Outcome {
                    broke: false,
                    continued: false,
                    normal: false,
                    ..round
                });
                if stop {
                    self.doubt = doubt;
                    total.normal = broken;
                    return Ok(total);
                }
                if exits {
                    self.doubt = doubt + 1;
                }
            }
            if open {
                self.vague_round(each, UNKNOWN, &mut total, &mut broken);
            }
        } else {
            let element = self.element_of(&values)?;
            self.vague_round(each, element, &mut total, &mut broken);
        }
        if each.orelse.is_empty() {
            total.normal = true;
        } else if broken {
            let outcome = self.uncertainly(|machine| machine.block(&each.orelse));
            total.add(outcome);
        } else {
            let outcome = self.block(&each.orelse);
            total.add(outcome);
        }
        self.doubt = doubt;
        Ok(total)
    }

    /// A round for elements of which it is not known what and how many they are.
    pub(super) fn vague_round(
        &mut self,
        each: &ruff_python_ast::StmtFor,
        element: Value,
        total: &mut Outcome,
        broken: &mut bool,
    ) {
        self.forget_changing(&each.body);
        let round = self.uncertainly(|machine| machine.round(&each.target, element, &each.body));
        *broken |= round.broke;
        total.add_exits(Outcome {
            broke: false,
            continued: false,
            ..round
        });
    }

    pub(super) fn round(&mut self, target: &Expr, value: Value, body: &[Stmt]) -> Outcome {
        match self.store(target, value) {
            Ok(()) => self.block(body),
            Err(raised) => Outcome::raised(raised),
        }
    }

    /// Before one round that stands for many: what they change is not known in any.
    pub(super) fn forget_changing(&mut self, body: &[Stmt]) {
        let mut names: Vec<Name> = Vec::new();
        assigned(body, false, &mut names);
        self.forget(&names);
    }

    pub(super) fn repeat(&mut self, repeat: &ruff_python_ast::StmtWhile) -> Evaluated<Outcome> {
        let mut total = Outcome::default();
        for _ in 0..ROUNDS {
            let test = self.evaluate(&repeat.test)?;
            match self.truth(&test)? {
                Some(false) => {
                    let outcome = self.block(&repeat.orelse);
                    total.add(outcome);
                    return Ok(total);
                }
                Some(true) => {
                    let round = self.block(&repeat.body);
                    let on = round.normal || round.continued;
                    let left = round.broke || round.returned.is_some() || round.raised.is_some();
                    let broke = round.broke;
                    total.add_exits(Outcome {
                        broke: false,
                        continued: false,
                        ..round
                    });
                    if left || !on {
                        // Whether there is another round is not known: its names are not either.
                        if on {
                            self.forget_changing(&repeat.body);
                        }
                        total.normal = broke;
                        return Ok(total);
                    }
                }
                None => {
                    self.forget_changing(&repeat.body);
                    let round = self.uncertainly(|machine| machine.block(&repeat.body));
                    total.add_exits(Outcome {
                        broke: false,
                        continued: false,
                        ..round
                    });
                    total.normal = true;
                    return Ok(total);
                }
            }
        }
        self.unknown("a loop with so many rounds", SideEffect::Schema)?;
        self.forget_changing(&repeat.body);
        total.normal = true;
        Ok(total)
    }

    pub(super) fn match_cases(
        &mut self,
        choice: &ruff_python_ast::StmtMatch,
    ) -> Evaluated<Outcome> {
        use ruff_python_ast::Pattern;
        let subject = self.evaluate(&choice.subject)?;
        let mut total = Outcome::default();
        for case in &choice.cases {
            let matches = match &case.pattern {
                Pattern::MatchValue(pattern) => {
                    let value = self.evaluate(&pattern.value)?;
                    subject.equals(&value)
                }
                Pattern::MatchAs(pattern) if pattern.pattern.is_none() => {
                    if let Some(name) = &pattern.name {
                        self.assign(&name.id, subject.clone());
                    }
                    Some(true)
                }
                _ => None,
            };
            let matches = match (&case.guard, matches) {
                (_, Some(false)) => Some(false),
                (None, matches) => matches,
                (Some(_), _) => None,
            };
            match matches {
                Some(false) => {}
                Some(true) => {
                    let outcome = self.block(&case.body);
                    total.add(outcome);
                    return Ok(total);
                }
                None => {
                    let outcome = self.uncertainly(|machine| machine.block(&case.body));
                    total.add(outcome);
                }
            }
        }
        total.normal = true;
        Ok(total)
    }
}
