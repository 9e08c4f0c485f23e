//! Every fixture of SQL files on the real servers: up, down one by one, up again, down in one run. After each step
//! the schema is what it was before the migration.

use rollback_core::schema::{Difference, SchemaLines, fingerprint};
use rollback_sql::script::statements;
use rollback_sql_files::engine::folder::{Folder, find};
use rollback_sql_files::file::MigrationFile;

use crate::project::Project;
use crate::sql_shop::dialect;
use crate::support::{Kind, TestDatabase};

/// The roles that Supabase has.
const ROLES: &str = "DO $$ BEGIN
    CREATE ROLE anon NOLOGIN; CREATE ROLE authenticated NOLOGIN;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$";

struct Walk<'a> {
    database: &'a TestDatabase<'a>,
    project: Project,
    files: Vec<MigrationFile>,
}

impl<'a> Walk<'a> {
    fn of(database: &'a TestDatabase<'a>, fixture: &str) -> Self {
        let project = Project::copy_of(&format!("sql/{fixture}"), "project", "alembic-current")
            .env("ROLLBACK_DATABASE_URL", database.url());
        let folder = find(project.root()).expect("a folder of migrations");
        let folder = Folder::read(&folder, project.root(), dialect(database.kind())).unwrap();
        assert_eq!(folder.malformed, [], "{fixture}");
        project.run("sql install").exits(0);
        Self {
            database,
            project,
            files: folder.files,
        }
    }

    fn schema(&self) -> SchemaLines {
        self.database.open().schema().unwrap()
    }

    /// Applies all of them as a tool would, and writes them down. The schemas are those before each.
    fn up(&self) -> Vec<SchemaLines> {
        let mut before = Vec::new();
        for file in &self.files {
            before.push(self.schema());
            for statement in statements(&file.up, dialect(self.database.kind())).unwrap() {
                self.database.execute(&statement.text);
            }
            let register = format!("sql register {}", file.id);
            self.project.run(&register).exits(0);
        }
        before
    }

    /// Down one by one, and in one run after that.
    fn and_back(&self) {
        let before = self.up();
        for (file, was) in self.files.iter().zip(&before).rev() {
            self.project.run("downgrade-safe -1 -y").exits(0);
            self.is(was, file.id.as_str());
        }
        let again = self.up();
        assert_eq!(again, before, "applied again");
        let top = self.schema();
        self.project.run("downgrade-safe base -y").exits(0);
        self.is(&before[0], "base");
        self.up();
        self.is(&top, "applied once more");
    }

    #[track_caller]
    fn is(&self, was: &SchemaLines, after: &str) {
        let now = self.schema();
        let difference = Difference::between(Some(was), Some(&now));
        let kind = self.database.kind();
        assert!(difference.is_empty(), "{kind:?} {after}: {difference:?}");
        assert_eq!(fingerprint(was), fingerprint(&now), "{kind:?} {after}");
    }
}

fn a_fixture_goes_up_and_down(kind: Kind, fixture: &str) {
    let database = TestDatabase::create(kind);
    if fixture == "supabase" {
        database.execute(ROLES);
    }
    Walk::of(&database, fixture).and_back();
}
on_each!(a_fixture_goes_up_and_down: sqlite, postgresql, mariadb; [shop, archive, companions, plain_blocks]);

fn a_fixture_of_postgresql_goes_up_and_down(kind: Kind, fixture: &str) {
    a_fixture_goes_up_and_down(kind, fixture);
}
on_each!(a_fixture_of_postgresql_goes_up_and_down: postgresql; [supabase, concurrently]);

/// One in the middle goes, and all that is newer stays.
fn one_goes_alone(kind: Kind) {
    let database = TestDatabase::create(kind);
    let walk = Walk::of(&database, "shop");
    walk.up();
    let notes = "20250109090000_add_order_notes";
    let refused = walk
        .project
        .run("downgrade-safe --only 20250108 -y")
        .exits(3);
    let command = format!("downgrade-safe --only {notes}");
    assert!(refused.stderr.contains(&command), "{refused}");
    let was = walk.schema();
    walk.project.run(&format!("{command} -y")).exits(0);
    let difference = Difference::between(Some(&was), Some(&walk.schema()));
    assert!(difference.new.is_empty(), "{kind:?}: {difference:?}");
    assert!(
        difference
            .gone
            .iter()
            .all(|line| line.contains("orders.note")),
        "{kind:?}: {difference:?}"
    );
    let current = walk.project.run("current --format json").exits(0).json();
    assert_eq!(
        current["newest"], "20250110090000_create_newsletter",
        "{kind:?}"
    );
    assert_eq!(current["behind"], 1, "{kind:?}");
}
on_each!(one_goes_alone: sqlite, postgresql, mariadb);

/// Red where the rows of Supabase's table stay, or count as lost.
#[test]
fn what_supabase_has_written_down_goes_with_the_migration() {
    let database = TestDatabase::create(Kind::PostgreSql);
    database.execute(ROLES);
    let walk = Walk::of(&database, "supabase");
    database.execute("CREATE SCHEMA supabase_migrations");
    database.execute(
        "CREATE TABLE supabase_migrations.schema_migrations (version text PRIMARY KEY, statements text[], name text)",
    );
    walk.up();
    for file in &walk.files {
        let version = file.id.as_str().split('_').next().unwrap_or_default();
        database.execute(&format!(
            "INSERT INTO supabase_migrations.schema_migrations (version) VALUES ('{version}')"
        ));
    }
    let agreed = walk.project.run("current --format json").exits(0).json();
    assert_eq!(agreed["problems"].as_array().unwrap().len(), 0, "{agreed}");
    walk.project.run("downgrade-safe -2 -y").exits(0);
    let left = "SELECT count(*)::text FROM supabase_migrations.schema_migrations";
    assert_eq!(database.query_one(left).trim(), "3");
    database.execute(
        "DELETE FROM supabase_migrations.schema_migrations WHERE version = '20250120090000'",
    );
    let odd = walk.project.run("list").exits(0);
    assert!(
        odd.stdout
            .contains("not in Supabase's table: 20250120090000_create_profiles"),
        "{odd}"
    );
}

/// What goes with CASCADE is counted, too.
#[test]
fn a_table_that_is_dropped_with_cascade_is_counted() {
    let database = TestDatabase::create(Kind::PostgreSql);
    let walk = Walk::of(&database, "shop");
    walk.up();
    database.execute("INSERT INTO newsletter (email) VALUES ('a@b'), ('c@d')");
    database.execute(
        "UPDATE rollback.migration_history SET rollback_sql = 'DROP TABLE IF EXISTS newsletter CASCADE;'
         WHERE migration_name LIKE '20250110%'",
    );
    let plan = walk.project.run("plan -1").exits(0);
    assert!(
        plan.stdout.contains("drops table newsletter with 2 rows"),
        "{plan}"
    );
    assert!(plan.stdout.contains("(this machine)"), "{plan}");
}
