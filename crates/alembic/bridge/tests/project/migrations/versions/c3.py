"""item 3"""

from alembic import op

revision = "c3"
down_revision = "b2"


def upgrade():
    op.execute("INSERT INTO item VALUES (3)")


def downgrade():
    op.execute("DELETE FROM item WHERE id = 3")
