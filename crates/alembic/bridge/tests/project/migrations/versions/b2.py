"""item 2"""

from alembic import op

revision = "b2"
down_revision = "a1"


def upgrade():
    op.execute("INSERT INTO item VALUES (2)")


def downgrade():
    op.execute("DELETE FROM item WHERE id = 2")
