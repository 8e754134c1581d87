"""Messages that were received and are kept until they are in the history, and what was bought with them."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_SEQUENCE = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Add the inbox and its purchases."""
    op.create_table(
        "inbox",
        sa.Column("sequence", _SEQUENCE, primary_key=True, autoincrement=True),
        sa.Column("digest", sa.String(64), nullable=False, unique=True),
        sa.Column("source", sa.String(64), nullable=False),
        sa.Column("customer_id", sa.String(256), nullable=False),
        sa.Column("order_key", sa.String(64)),
        sa.Column("received_at", sa.String(32), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("standing", sa.String(16), nullable=False, server_default="waiting"),
        sa.Column("reason", sa.String(32)),
        sqlite_autoincrement=True,
    )
    for name in ("customer_id", "order_key", "standing"):
        op.create_index(f"ix_inbox_{name}", "inbox", [name])
    op.create_table(
        "inbox_purchases",
        sa.Column("sequence", _SEQUENCE, primary_key=True, autoincrement=False),
        sa.Column("product_id", sa.String(256), primary_key=True),
        sa.Column("customer_id", sa.String(256), nullable=False),
    )
    op.create_index("ix_inbox_purchases_customer_id", "inbox_purchases", ["customer_id"])
