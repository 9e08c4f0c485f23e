//! Statements that ordinary SQL files consist of, forecast and run on real servers.

use serde_json::Value;

use crate::project::Project;
use crate::support::{Kind, TestDatabase};

/// A project with one migration: what goes up, what takes it down in comments. Nothing is allowed beforehand.
fn project(database: &TestDatabase<'_>, up: &str, down: &str) -> Project {
    let block: String = down.lines().map(|line| format!("-- {line}\n")).collect();
    Project::empty()
        .file(
            "rollback.toml",
            "engine = \"sql\"\nmigrations = \"migrations\"\n",
        )
        .file(
            "migrations/20250120_team.sql",
            format!("{up}\n-- ROLLBACK START\n{block}-- ROLLBACK END\n"),
        )
        .env("ROLLBACK_DATABASE_URL", database.url())
        .env("ROLLBACK_ALLOW", "")
}

/// The code, level and sentence of each finding of the first step.
fn findings(plan: &Value) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = plan["steps"][0]["findings"].as_array().unwrap().iter();
    all.map(|one| {
        (
            text(&one["code"]),
            text(&one["level"]),
            text(&one["sentence"]),
        )
    })
    .collect()
}

const TEAM: &str = "\
CREATE TYPE public.role AS ENUM ('member', 'owner');
CREATE TABLE public.teams (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    owner uuid REFERENCES auth.users (id) ON DELETE CASCADE,
    name text NOT NULL,
    kind public.role NOT NULL DEFAULT 'member'
);
COMMENT ON TABLE public.teams IS 'One row a team';
CREATE INDEX teams_owner ON public.teams (owner);
ALTER TABLE public.teams ENABLE ROW LEVEL SECURITY;
CREATE POLICY \"own teams\" ON public.teams FOR SELECT USING (owner IS NOT NULL);
CREATE POLICY \"make teams\" ON public.teams FOR INSERT WITH CHECK (true);
CREATE FUNCTION public.first_team() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
BEGIN
    INSERT INTO public.teams (owner, name) VALUES (NEW.id, 'My team');
    RETURN NEW;
END;
$$;
CREATE TRIGGER make_first_team AFTER INSERT ON auth.users
    FOR EACH ROW EXECUTE FUNCTION public.first_team();
CREATE VIEW public.team_names WITH (security_invoker = true) AS SELECT id, name FROM public.teams;
GRANT SELECT ON public.teams, public.team_names TO PUBLIC;
GRANT EXECUTE ON FUNCTION public.first_team() TO PUBLIC;";

const NO_TEAM: &str = "\
REVOKE EXECUTE ON FUNCTION public.first_team() FROM PUBLIC;
REVOKE SELECT ON public.teams, public.team_names FROM PUBLIC;
DROP VIEW IF EXISTS public.team_names;
DROP TRIGGER IF EXISTS make_first_team ON auth.users;
DROP FUNCTION IF EXISTS public.first_team();
DROP POLICY IF EXISTS \"make teams\" ON public.teams;
DROP POLICY IF EXISTS \"own teams\" ON public.teams;
ALTER TABLE public.teams DISABLE ROW LEVEL SECURITY;
DROP INDEX IF EXISTS public.teams_owner;
COMMENT ON TABLE public.teams IS NULL;
DROP TABLE IF EXISTS public.teams;
DROP TYPE IF EXISTS public.role;";

/// Turns red if one of these statements is not understood, or is called a loss while the table is empty.
#[test]
fn an_ordinary_supabase_migration_needs_no_more_than_yes() {
    let database = TestDatabase::create(Kind::PostgreSql);
    database.execute("CREATE SCHEMA auth; CREATE TABLE auth.users (id uuid PRIMARY KEY)");
    let project = project(&database, TEAM, NO_TEAM);
    database.execute(TEAM);
    project.run("sql install").exits(0);
    project.run("sql sync").exits(0);
    let plan = project.run("plan -1 --format json").exits(0).json();
    let all = findings(&plan);
    let codes: Vec<&str> = all.iter().map(|(code, _, _)| code.as_str()).collect();
    assert_eq!(codes, ["index-dropped", "table-dropped"], "{all:?}");
    assert!(all.iter().all(|(_, level, _)| level == "low"), "{all:?}");

    project.run("downgrade-safe -1 -y").exits(0);
    let left =
        "SELECT count(*) FROM pg_catalog.pg_class WHERE relnamespace = 'public'::regnamespace";
    assert_eq!(database.query_one(left), "0");
    let left =
        "SELECT count(*) FROM pg_catalog.pg_proc WHERE pronamespace = 'public'::regnamespace";
    assert_eq!(database.query_one(left), "0");
    let left = "SELECT count(*) FROM pg_catalog.pg_trigger WHERE NOT tgisinternal";
    assert_eq!(database.query_one(left), "0");
    // What was applied can be applied again.
    database.execute(TEAM);
    database.execute("INSERT INTO auth.users VALUES (gen_random_uuid())");
    assert_eq!(database.query_one("SELECT count(*) FROM teams"), "1");
}

/// The rows are in the archive until they are back: no step of this loses any.
#[test]
fn an_archive_keeps_what_a_migration_drops() {
    let up = "\
CREATE TABLE public.archived_user_emails AS
SELECT id, email FROM public.users;
ALTER TABLE public.users DROP COLUMN email;
CREATE TABLE public.archived_logs AS SELECT * FROM public.logs;
DROP TABLE public.logs;";
    let down = "\
CREATE TABLE public.logs (id integer, line text);
INSERT INTO public.logs SELECT * FROM public.archived_logs;
DROP TABLE public.archived_logs;
ALTER TABLE public.users ADD COLUMN email text;
UPDATE public.users u SET email = a.email FROM public.archived_user_emails a WHERE u.id = a.id;
DROP TABLE IF EXISTS public.archived_user_emails;";
    let database = TestDatabase::create(Kind::PostgreSql);
    database.execute(
        "CREATE TABLE users (id integer PRIMARY KEY, email text);
         INSERT INTO users VALUES (1, 'ada@example.org'), (2, NULL);
         CREATE TABLE logs (id integer, line text);
         INSERT INTO logs VALUES (1, 'one'), (2, 'two')",
    );
    let project = project(&database, up, down);
    database.execute(up);
    project.run("sql install").exits(0);
    project.run("sql sync").exits(0);
    let plan = project.run("plan -1 --format json").exits(0).json();
    let all = findings(&plan);
    assert!(
        all.iter()
            .all(|(_, level, _)| level == "low" || level == "medium"),
        "{all:?}"
    );
    let sentence = |code: &str, object: &str| {
        let found = all
            .iter()
            .find(|(one, _, said)| one == code && said.contains(object));
        found
            .unwrap_or_else(|| panic!("{code} of {object}: {all:?}"))
            .2
            .clone()
    };
    assert_eq!(
        sentence("table-dropped", "archived_logs"),
        "drops table public.archived_logs after copying every row to public.logs"
    );
    assert_eq!(
        sentence("table-dropped", "archived_user_emails"),
        "drops table public.archived_user_emails with 2 rows after restoring public.users from it"
    );
    assert_eq!(
        sentence("data-not-restored", "users.email"),
        "brings column public.users.email back with values of public.archived_user_emails, the copy that the migration made"
    );
    let run = project.run("plan -1").exits(0);
    assert!(!run.stdout.contains("dump table"), "{run}");
    assert!(!run.stdout.contains("only a backup"), "{run}");

    project.run("downgrade-safe -1 -y").exits(0);
    let emails = "SELECT string_agg(coalesce(email, '-'), ' ' ORDER BY id) FROM public.users";
    assert_eq!(database.query_one(emails), "ada@example.org -");
    assert_eq!(
        database.query_one("SELECT string_agg(line, ' ' ORDER BY id) FROM public.logs"),
        "one two"
    );
}

/// Turns red if one of the formats is not read, or a file of SQL is said to lack a function.
#[test]
fn pairs_and_sections_of_other_tools_are_rolled_back() {
    let database = TestDatabase::create(Kind::Sqlite);
    let sections = |up: &str, down: &str, name: &str| {
        format!("-- {up}\nCREATE TABLE {name} (id integer);\n-- {down}\nDROP TABLE {name};\n")
    };
    let project = Project::empty()
        .file("migrations/0_a.up.sql", "CREATE TABLE a (id integer);")
        .file("migrations/1_b.up.sql", "CREATE TABLE b (id integer);")
        .file("migrations/1_b.down.sql", "DROP TABLE b;")
        .file(
            "migrations/2_c.sql",
            sections("migrate:up", "migrate:down", "c"),
        )
        .file(
            "migrations/3_d.sql",
            sections("+goose Up", "+goose Down", "d"),
        )
        .env("ROLLBACK_DATABASE_URL", database.url());
    for name in ["a", "b", "c", "d"] {
        database.execute(&format!("CREATE TABLE {name} (id integer)"));
    }
    project.run("sql install").exits(0);
    project.run("sql sync").exits(0);
    let all = project.run("plan -4");
    assert!(all.stdout.contains("has no rollback SQL"), "{all}");
    assert!(!all.to_string().contains("downgrade function"), "{all}");
    project.run("downgrade-safe -3 -y").exits(0);
    assert!(database.try_execute("SELECT * FROM a").is_ok());
    for name in ["b", "c", "d"] {
        let gone = database.try_execute(&format!("SELECT * FROM {name}"));
        assert!(gone.is_err(), "{name} is there");
    }
}
