//! Sources that look real, changed at random: the reader ends on every one of them.

use proptest::prelude::*;

use super::downgrade_on;
use super::show::Recorder;
use rollback_core::dialect::Dialect;

const SOURCES: &[&str] = &[
    r#"
import sqlalchemy as sa
from alembic import op
from sqlalchemy.orm import Session
from sqlalchemy.ext.declarative import declarative_base
Base = declarative_base()
class A(Base):
    __tablename__ = "a"
    id = sa.Column(sa.Integer, primary_key=True)
    name = sa.Column("label", sa.String(length=20), nullable=False)
NAMES = {"a": ["b", "c"], "d": [f"{n}_x" for n in range(3)]}
def helper(table, *columns, schema=None, **options):
    with op.batch_alter_table(table, schema=schema) as batch:
        for column in sorted(set(columns)):
            batch.drop_column(column)
def rows(query):
    for row in query.all():
        yield row
def downgrade():
    bind = op.get_bind()
    session = Session(bind=bind)
    try:
        for table, columns in NAMES.items():
            helper(table, *columns, schema="s" if table else None)
    except (KeyError, Exception) as error:
        raise RuntimeError(f"no {error}") from error
    finally:
        session.close()
    for row in rows(session.query(A).filter(A.id == 1)):
        row.name = row.name.strip()[1:-1] + "%s" % ("x",)
    while not NAMES:
        NAMES["x"] += [1, -2]
        break
    op.execute("UPDATE {} SET x = {y}".format("t", y=3))
"#,
    r#"
from alembic import op
import sqlalchemy as sa
def upgrade():
    op.create_table("t", sa.Column("id", sa.Integer(), sa.Identity()), sa.PrimaryKeyConstraint("id"))
def downgrade():
    conn = op.get_bind()
    insp = sa.inspect(conn)
    if conn.dialect.name in ("mysql", "sqlite") and "t" not in insp.get_table_names():
        return
    elif (n := len(insp.get_columns("t"))) > 3:
        op.drop_column("t", "x")
    with op.get_context().autocommit_block():
        op.execute(sa.text("DROP INDEX CONCURRENTLY i"))
    sa.Enum("a", "b", name="e").drop(conn, checkfirst=False)
    match n:
        case 1: op.drop_table("t")
        case _: [op.drop_index(i) for i in ("a", "b") if i]
"#,
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn changed_sources_are_followed_to_their_end(
        source in 0..SOURCES.len(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..5_usize), 0..6),
    ) {
        let mut lines: Vec<String> = SOURCES[source].lines().map(str::to_owned).collect();
        for (one, two, kind) in changes {
            let (from, to) = (one.index(lines.len()), two.index(lines.len()));
            match kind {
                0 => lines.swap(from, to),
                1 => {
                    let line = lines[from].clone();
                    lines.insert(to, line);
                }
                2 => lines[from] = lines[to].trim_start().to_owned(),
                3 => {
                    let word = lines[to].split(['(', '.', ' ']).next_back().unwrap_or("").to_owned();
                    lines[from].push_str(&word);
                }
                _ => {
                    let words: Vec<&str> = lines[from].split(' ').collect();
                    let cut = two.index(words.len());
                    let kept: Vec<&str> = words.iter().enumerate().filter(|(index, _)| *index != cut).map(|(_, word)| *word).collect();
                    lines[from] = kept.join(" ");
                }
            }
        }
        downgrade_on(&lines.join("\n"), Recorder::on(Dialect::MySql));
    }

    #[test]
    fn changed_bytes_are_followed_to_their_end(
        source in 0..SOURCES.len(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<char>()), 0..8),
    ) {
        let mut text: Vec<char> = SOURCES[source].chars().collect();
        for (at, character) in changes {
            let at = at.index(text.len());
            text[at] = character;
        }
        let text: String = text.into_iter().collect();
        downgrade_on(&text, Recorder::on(Dialect::Sqlite));
    }
}
