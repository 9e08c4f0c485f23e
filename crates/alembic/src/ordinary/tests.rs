use super::*;

const ONLINE: &str = "\
def run_migrations_online():
    engine = create_engine(url)
    with engine.connect() as connection:
        context.configure(connection=connection, target_metadata=target_metadata, **arguments())
        with context.begin_transaction():
            context.run_migrations()
run_migrations_online()
";

const ASYNC: &str = "\
def do_run_migrations(connection):
    context.configure(connection=connection)

    with context.begin_transaction():
        context.run_migrations()

async def run_async_migrations():
    async with connectable.connect() as conn:
        await conn.run_sync(do_run_migrations)
    await connectable.dispose()

def run_migrations_online():
    asyncio.run(run_async_migrations())

run_migrations_online()
";

const SUPERSET: &str = "\
def run_migrations_online():
    connection = engine.connect()
    context.configure(connection=connection)
    try:
        with context.begin_transaction():
            context.run_migrations()
        print_duration(start_time)
    finally:
        connection.close()

if context.is_offline_mode():
    run_migrations_offline()
else:
    run_migrations_online()
";

#[test]
fn the_shapes_of_the_templates_are_ordinary() {
    for text in [ONLINE, ASYNC, SUPERSET] {
        assert_eq!(of(text), Ok(()), "{text}");
    }
}

/// Turns red if a shape that goes wrong when steps share a process is called ordinary.
#[test]
fn what_could_reach_from_one_step_into_the_next_is_not() {
    let run = "        with context.begin_transaction():\n            context.run_migrations()\n";
    for (old, new) in [
        // What is set inside the transaction ends with the first step's commit.
        (
            run,
            "        with context.begin_transaction():\n            connection.execute(text('SET LOCAL search_path = a'))\n            context.run_migrations()\n",
        ),
        // A dry run that rolls back itself.
        (
            run,
            "        t = connection.begin()\n        context.run_migrations()\n        t.rollback()\n",
        ),
        (
            run,
            "        with context.begin_transaction() as t:\n            context.run_migrations()\n            t.rollback()\n",
        ),
        (
            run,
            "        with context.begin_transaction():\n            context.run_migrations()\n            audit()\n",
        ),
        (run, "        context.run_migrations()\n"),
        (
            run,
            "        with context.begin_transaction(), other():\n            context.run_migrations()\n",
        ),
        (
            "        context.configure(",
            "        prepare(connection)\n        context.configure(",
        ),
        (
            "        context.configure(",
            "        connection.dialect.default_schema_name = 'a'\n        context.configure(",
        ),
        (
            "connection=connection,",
            "connection=connection, on_version_apply=[note],",
        ),
        ("connection=connection,", "connection=connections['a'],"),
        ("engine.connect()", "engine.begin()"),
        (
            "engine.connect()",
            "engine.execution_options(isolation_level='AUTOCOMMIT').connect()",
        ),
        (
            "    engine = ",
            "    @event.listens_for(Engine, 'connect')\n    def f(d, r): pass\n    engine = ",
        ),
        // Several databases, one after the other.
        (
            "\nrun_migrations_online()\n",
            "\nfor url in urls:\n    run_migrations_online()\n",
        ),
        (
            "\nrun_migrations_online()\n",
            "\n[run_migrations_online() for url in urls]\n",
        ),
        (
            "\nrun_migrations_online()\n",
            "\nrun_migrations_online()\nrun_migrations_online()\n",
        ),
        (
            "\nrun_migrations_online()\n",
            "\ndef each():\n    run_migrations_online()\nwhile urls:\n    each()\n",
        ),
        (
            "\nrun_migrations_online()\n",
            "\nlist(map(run_migrations_online, urls))\n",
        ),
        (
            "    with engine",
            "    for engine in engines:\n     with engine",
        ),
        ("run_migrations_online()\n", "run_everything()\n"),
    ] {
        let text = if new == "run_everything()\n" {
            "from app import run_everything\nrun_everything()\n".to_owned()
        } else {
            assert!(ONLINE.contains(old), "{old}");
            ONLINE.replace(old, new)
        };
        assert!(of(&text).is_err(), "{text}");
    }
    assert!(of("def f(:").is_err());
    assert!(read(Some(Path::new("/nowhere"))).is_err());
    assert!(read(None).is_err());
}
