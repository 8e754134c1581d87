"""How many calls a minute a key may make, and what is left of them."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Give every key a limit, and add the table of buckets."""
    limit = sa.Column("calls_per_minute", sa.Integer, nullable=False, server_default="60000")
    op.add_column("api_keys", limit)
    op.create_table(
        "call_buckets",
        sa.Column("key_id", sa.String(32), primary_key=True),
        sa.Column("calls", sa.Float, nullable=False),
        sa.Column("filled_at", sa.Float, nullable=False),
    )
