//! A function, trigger, view or another object without rows goes. That is a loss only if the migration itself cannot
//! make it again.

use crate::StepTrace;
use crate::risk::finding_draft::FindingDraft;
use crate::risk::objects::{
    Definition, DroppedTables, definition, type_definition, view_definition,
};
use crate::risk::operation_context::{OperationContext, operations_with_schema};
use rollback_core::finding_code::{FindingCode, Level};
use rollback_core::operation::{ObjectKind, Operation, SchemaObject};
use rollback_core::probe::Probe;

const CODE: FindingCode = FindingCode::ObjectDropped;

/// Extensions without tables of their own, so that nothing is stored in them.
const WITHOUT_ROWS: [&str; 16] = [
    "btree_gin",
    "btree_gist",
    "citext",
    "cube",
    "earthdistance",
    "fuzzystrmatch",
    "hstore",
    "intarray",
    "ltree",
    "moddatetime",
    "pg_trgm",
    "pgcrypto",
    "tablefunc",
    "unaccent",
    "uuid-ossp",
    "vector",
];

pub(super) fn look(seen: &StepTrace, _: &mut dyn Probe) -> Vec<FindingDraft> {
    let tables = DroppedTables::of(seen);
    operations_with_schema(seen)
        .iter()
        .filter_map(|context| match context.operation {
            Operation::DropObject { object } => dropped(seen, context, object, &tables),
            Operation::DropView { name, .. } => {
                let shown = context.say(name);
                told(
                    context,
                    &format!("view {shown}"),
                    view_definition(seen, name),
                )
            }
            // Alembic makes and drops types with the columns that have them.
            Operation::DropType { name, .. } if seen.is_sql_file => {
                let shown = context.say(name);
                let definition = type_definition(seen, name)?;
                told(context, &format!("type {shown}"), definition)
            }
            Operation::CreateObject {
                object,
                may_exist: true,
            } if object.kind != ObjectKind::Extension => replaced(seen, context, object),
            _ => None,
        })
        .collect()
}

fn dropped(
    seen: &StepTrace,
    context: &OperationContext<'_>,
    object: &SchemaObject,
    tables: &DroppedTables<'_>,
) -> Option<FindingDraft> {
    let name = context.say(&object.name);
    let definition = definition(seen, object);
    // Who sees which rows is a matter of rights.
    if object.kind == ObjectKind::Policy {
        return None;
    }
    if let Some(table) = &object.table
        && tables.has(table, context)
    {
        return None;
    }
    let what = match (object.kind, &object.table) {
        (ObjectKind::PublishedTable, Some(table)) => {
            return (definition == Definition::Elsewhere).then(|| {
                let table = context.say(table);
                found(
                    context,
                    &format!("{table} in publication {name}"),
                    Level::Medium,
                    format!("takes table {table} out of publication {name}, and applying the migration again does not put it back"),
                )
                .advise("look at who subscribes to it")
            });
        }
        (ObjectKind::Extension, _) => return extension(context, &name, definition),
        (kind, Some(table)) => format!("{} {name} of table {}", kind.word(), context.say(table)),
        (kind, None) => format!("{} {name}", kind.word()),
    };
    told(context, &what, definition)
}

fn told(
    context: &OperationContext<'_>,
    what: &str,
    definition: Definition,
) -> Option<FindingDraft> {
    let (rest, advice) = match definition {
        Definition::InUpgrade => return None,
        Definition::MayReplace => (
            "an older one that the migration replaced does not come back",
            format!("if an earlier migration made {what}, make that one again in the rollback"),
        ),
        Definition::Elsewhere => (
            "the migration is not seen to make it, so applying it again may not bring it back",
            format!("keep the definition of {what}"),
        ),
    };
    Some(
        found(
            context,
            what,
            Level::Medium,
            format!("drops {what}; {rest}"),
        )
        .advise(advice),
    )
}

/// The downgrade puts another definition in its place.
fn replaced(
    seen: &StepTrace,
    context: &OperationContext<'_>,
    object: &SchemaObject,
) -> Option<FindingDraft> {
    if definition(seen, object) != Definition::Elsewhere {
        return None;
    }
    // What the upgrade dropped comes back.
    let taken = crate::risk::operation_context::operations(&seen.upgrade).any(|operation| {
        matches!(operation, Operation::DropObject { object: gone }
            if gone.kind == object.kind && gone.name.name == object.name.name)
    });
    if taken {
        return None;
    }
    let what = format!("{} {}", object.kind.word(), context.say(&object.name));
    Some(
        found(
            context,
            &what,
            Level::Medium,
            format!("may replace {what}; the present one is not in this migration"),
        )
        .advise(format!("keep the definition of {what}")),
    )
}

fn extension(
    context: &OperationContext<'_>,
    name: &str,
    definition: Definition,
) -> Option<FindingDraft> {
    let what = format!("extension {name}");
    if !WITHOUT_ROWS.contains(&name) {
        let sentence = format!("drops {what} with everything that its own tables hold");
        return Some(
            found(context, &what, Level::High, sentence)
                .advise("keep a copy of what it stores, such as jobs, keys or settings"),
        );
    }
    if definition == Definition::InUpgrade {
        return None;
    }
    let sentence = format!(
        "drops {what}, which may be older than this migration; functions that call it fail afterwards"
    );
    Some(
        found(context, &what, Level::Medium, sentence)
            .advise(format!("leave {what} in place if anything else uses it")),
    )
}

fn found(
    context: &OperationContext<'_>,
    object: &str,
    level: Level,
    sentence: String,
) -> FindingDraft {
    context.found(CODE, object, level, sentence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::risk::testing::{FakeProbe, found, schema, step, undoing};
    use rollback_core::dialect::Dialect;
    use rollback_core::operation::Operation;
    use rollback_sql::{Effect, take_apart};

    fn operations(sql: &str) -> Vec<Operation> {
        take_apart(&[Some(sql.to_owned())], Dialect::Postgres)
            .into_iter()
            .map(|effect| match effect {
                Effect::Operation(operation) => *operation,
                Effect::EndsTransaction => panic!("{sql} ends the transaction"),
            })
            .collect()
    }

    fn seen(up: &str, down: &str) -> StepTrace {
        undoing(
            step(&schema(Dialect::Postgres), operations(down)),
            operations(up),
        )
    }

    fn sentences(up: &str, down: &str) -> Vec<(String, Level)> {
        let findings = crate::risk::examine(&seen(up, down), &mut FakeProbe::all(0));
        let all = findings
            .into_iter()
            .filter(|one| one.code != FindingCode::ConditionalCode);
        all.map(|one| (format!("{}: {}", one.code, one.sentence), one.level))
            .collect()
    }

    #[track_caller]
    fn none(up: &str, down: &str) {
        assert_eq!(sentences(up, down), [], "{up} / {down}");
    }

    #[track_caller]
    fn only(up: &str, down: &str, begins: &str, level: Level) {
        let all = sentences(up, down);
        let [(sentence, found)] = all.as_slice() else {
            panic!("{up} / {down}: {all:?}");
        };
        assert!(sentence.starts_with(begins), "{sentence}");
        assert_eq!(*found, level, "{sentence}");
    }

    #[test]
    fn what_the_migration_makes_is_no_loss() {
        for (up, down) in [
            (
                "CREATE FUNCTION public.touch(n int DEFAULT 1, OUT x text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN; END $$",
                "DROP FUNCTION touch(integer)",
            ),
            (
                "CREATE FUNCTION f(a text) RETURNS int AS $$ $$",
                "DROP FUNCTION IF EXISTS f",
            ),
            (
                "CREATE PROCEDURE p() LANGUAGE sql AS ''",
                "DROP PROCEDURE p()",
            ),
            (
                "CREATE AGGREGATE total(integer) (SFUNC = int4pl, STYPE = integer)",
                "DROP AGGREGATE total(integer)",
            ),
            (
                "CREATE TRIGGER t AFTER INSERT OR UPDATE OF email ON auth.users FOR EACH ROW EXECUTE FUNCTION f()",
                "DROP TRIGGER IF EXISTS t ON auth.users CASCADE",
            ),
            (
                "CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION f()",
                "DROP EVENT TRIGGER e",
            ),
            (
                "CREATE RULE r AS ON INSERT TO users DO NOTHING",
                "DROP RULE r ON users",
            ),
            ("CREATE VIEW v AS SELECT 1", "DROP VIEW v"),
            (
                "CREATE MATERIALIZED VIEW v AS SELECT 1",
                "REFRESH MATERIALIZED VIEW v; DROP MATERIALIZED VIEW IF EXISTS v",
            ),
            (
                "CREATE DOMAIN d AS text CHECK (value <> '')",
                "DROP DOMAIN d",
            ),
            (
                "CREATE TYPE pair AS (a int, b int)",
                "DROP TYPE IF EXISTS pair",
            ),
            ("CREATE EXTENSION citext", "DROP EXTENSION citext"),
            ("CREATE PUBLICATION p FOR TABLE users", "DROP PUBLICATION p"),
            (
                "ALTER PUBLICATION p ADD TABLE users (id) WHERE (id > 1), TABLE orders",
                "ALTER PUBLICATION p DROP TABLE users, orders",
            ),
            (
                "CREATE POLICY \"own rows\" ON users FOR SELECT USING (true)",
                "DROP POLICY \"own rows\" ON users",
            ),
            (
                "COMMENT ON TABLE users IS 'x'",
                "COMMENT ON TABLE users IS NULL",
            ),
        ] {
            none(up, down);
        }
    }

    #[test]
    fn what_the_migration_does_not_make_is_told() {
        for (up, down, begins) in [
            (
                "",
                "DROP FUNCTION f()",
                "object-dropped: drops function f; the migration is not seen to make it",
            ),
            (
                "CREATE FUNCTION f(text) RETURNS int AS ''",
                "DROP FUNCTION f(int)",
                "object-dropped: drops function f; the migration is not seen to make it",
            ),
            (
                "CREATE FUNCTION f(text, text) RETURNS int AS ''",
                "DROP FUNCTION f(text)",
                "object-dropped: drops function f; the migration is not seen to make it",
            ),
            (
                "CREATE OR REPLACE FUNCTION f() RETURNS int AS ''",
                "DROP FUNCTION f()",
                "object-dropped: drops function f; an older one that the migration replaced",
            ),
            (
                "DROP TRIGGER IF EXISTS t ON users; CREATE TRIGGER t AFTER INSERT ON users EXECUTE FUNCTION f()",
                "DROP TRIGGER t ON users",
                "object-dropped: drops trigger t of table users; an older one",
            ),
            (
                "CREATE TRIGGER t AFTER INSERT ON orders EXECUTE FUNCTION f()",
                "DROP TRIGGER t ON users",
                "object-dropped: drops trigger t of table users; the migration is not seen to make it",
            ),
            (
                "",
                "DROP VIEW IF EXISTS v",
                "object-dropped: drops view v; the migration is not seen to make it",
            ),
            (
                "",
                "ALTER PUBLICATION p DROP TABLE users",
                "object-dropped: takes table users out of publication p",
            ),
            (
                "CREATE EXTENSION IF NOT EXISTS pgcrypto",
                "DROP EXTENSION IF EXISTS pgcrypto",
                "object-dropped: drops extension pgcrypto, which may be older",
            ),
            (
                "",
                "CREATE OR REPLACE FUNCTION f() RETURNS int AS ''",
                "object-dropped: may replace function f",
            ),
        ] {
            only(up, down, begins, Level::Medium);
        }
        only(
            "CREATE EXTENSION pg_cron",
            "DROP EXTENSION pg_cron",
            "object-dropped: drops extension pg_cron with everything",
            Level::High,
        );
        only(
            "",
            "DROP POLICY p ON users",
            "rights-loosened: loosens who may do what: DROP POLICY p ON users",
            Level::High,
        );
        // A policy that forbids lets see more without it.
        only(
            "CREATE POLICY p ON users AS RESTRICTIVE USING (false)",
            "DROP POLICY p ON users",
            "rights-loosened: ",
            Level::High,
        );
    }

    #[test]
    fn a_type_of_a_sql_file_is_told_if_its_words_are_elsewhere() {
        let told = |up: &str, down: &str| {
            let mut seen = seen(up, down);
            seen.is_sql_file = true;
            found(CODE, &seen, FakeProbe::all(0)).len()
        };
        assert_eq!(
            told("CREATE TYPE mood AS ENUM ('low')", "DROP TYPE mood"),
            0
        );
        assert_eq!(
            told("CREATE TYPE pair AS (a int)", "DROP TYPE IF EXISTS pair"),
            0
        );
        assert_eq!(told("", "DROP TYPE mood"), 1);
        assert_eq!(
            told("CREATE TYPE other AS ENUM ('low')", "DROP TYPE mood"),
            1
        );
        let anew = "ALTER TYPE mood RENAME TO old; CREATE TYPE mood AS ENUM ('low'); DROP TYPE old";
        assert_eq!(told("ALTER TYPE mood ADD VALUE 'high'", anew), 0);
    }

    #[test]
    fn what_goes_with_its_table_is_no_loss() {
        let gone = "ALTER TABLE users DISABLE ROW LEVEL SECURITY; DROP POLICY p ON users; \
                    DROP TRIGGER t ON public.users; DROP RULE r ON users; ";
        assert_eq!(sentences("", gone).len(), 4);
        only(
            "",
            &format!("{gone} DROP TABLE users"),
            "table-dropped: drops table users, which is empty",
            Level::Low,
        );
        // Outside of a transaction others see what is between.
        let mut open = seen("", &format!("{gone} DROP TABLE users"));
        open.downgrade.happened[0].event.autocommit = true;
        assert_eq!(
            found(FindingCode::RightsLoosened, &open, FakeProbe::all(0)).len(),
            2
        );
        // The table that stays is another one.
        assert_eq!(sentences("", &format!("{gone} DROP TABLE orders")).len(), 5);
    }

    #[test]
    fn what_may_take_more_along_or_do_more_is_unknown() {
        for down in [
            "DROP FUNCTION f() CASCADE",
            "DROP DOMAIN d CASCADE",
            "DROP EXTENSION citext CASCADE",
            "CREATE RULE r AS ON DELETE TO users DO INSTEAD NOTHING",
            "CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION f()",
            "ALTER PUBLICATION p SET TABLE users",
            "CREATE TRIGGER t BEFORE DELETE ON users EXECUTE FUNCTION f(); DELETE FROM users",
        ] {
            let unknown = found(FindingCode::UnknownCode, &seen("", down), FakeProbe::all(0));
            assert_eq!(unknown.len(), 1, "{down}");
            assert_eq!(unknown[0].level, Level::Unknown, "{down}");
        }
        let quiet =
            "CREATE TRIGGER t BEFORE DELETE ON users EXECUTE FUNCTION f(); DELETE FROM orders";
        assert!(
            found(
                FindingCode::UnknownCode,
                &seen("", quiet),
                FakeProbe::all(0)
            )
            .is_empty()
        );
        only(
            "",
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; END; DROP TABLE users",
            "table-dropped: drops table users, which is empty",
            Level::Low,
        );
    }
}
