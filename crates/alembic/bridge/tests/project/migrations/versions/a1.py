"""item 1"""

from alembic import op

revision = "a1"
down_revision = None


def upgrade():
    op.execute("INSERT INTO item VALUES (1)")


def downgrade():
    op.execute("DELETE FROM item WHERE id = 1")
