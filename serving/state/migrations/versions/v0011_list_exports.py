"""Every list that left the service: who took it, which, and what came of it."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add the table; lists that left before are in the log of requests alone."""
    op.create_table(
        "list_exports",
        sa.Column(
            "export_number",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            primary_key=True,
            autoincrement=True,
        ),
        sa.Column("export_id", sa.String(40), nullable=False, unique=True),
        sa.Column("key_id", sa.String(32), nullable=False),
        sa.Column("taken_at", sa.String(32), nullable=False),
        sa.Column("job_id", sa.String(40)),
        sa.Column("audience", sa.String(64), nullable=False),
        sa.Column("score_run_id", sa.String(64), nullable=False),
        sa.Column("as_of", sa.String(10), nullable=False),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("control_group_share", sa.Float, nullable=False),
        sa.Column("control_group_count", sa.Integer),
        sa.Column("with_identity", sa.Boolean, nullable=False),
        sa.Column("row_count", sa.Integer),
        sa.Column("is_whole", sa.Boolean),
        sa.Column("members", sa.String(8), nullable=False, index=True),
        sa.Column("outcome", sa.Text),
        sqlite_autoincrement=True,
    )
