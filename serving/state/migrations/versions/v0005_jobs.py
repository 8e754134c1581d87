"""Jobs, the answers to calls that may be repeated, and what was last sent where."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the three tables."""
    number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "jobs",
        sa.Column("job_number", number, primary_key=True, autoincrement=True),
        sa.Column("job_id", sa.String(40), nullable=False, unique=True),
        sa.Column("key_id", sa.String(32), nullable=False),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("with_identity", sa.Boolean, nullable=False),
        sa.Column("destination", sa.String(100), nullable=False),
        sa.Column("status", sa.String(10), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("leased_until", sa.Float),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("started_at", sa.String(32)),
        sa.Column("finished_at", sa.String(32)),
        sa.Column("expires_at", sa.String(32)),
        sa.Column("result", sa.Text),
        sa.Column("error", sa.String(40)),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("key_id", sa.String(32), primary_key=True),
        sa.Column("token", sa.String(64), primary_key=True),
        sa.Column("body_digest", sa.String(64), nullable=False),
        sa.Column("answer", sa.Text, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
    )
    op.create_table(
        "last_sent",
        sa.Column("destination", sa.String(100), primary_key=True),
        sa.Column("customer_id", sa.String(256), primary_key=True),
        sa.Column("job_number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("attributes", sa.Text, nullable=False),
    )
