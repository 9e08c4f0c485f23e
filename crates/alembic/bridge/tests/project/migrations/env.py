from alembic import context
from sqlalchemy import create_engine

OPTIONS = {}

if context.is_offline_mode():
    context.configure(dialect_name="sqlite", **OPTIONS)
    with context.begin_transaction():
        context.run_migrations()
else:
    engine = create_engine("sqlite:///app.db")
    with engine.connect() as connection:
        context.configure(connection=connection, **OPTIONS)
        with context.begin_transaction():
            context.run_migrations()
