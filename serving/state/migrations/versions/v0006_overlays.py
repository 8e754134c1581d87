"""Customers who were scored again since a run, and how far the worker has come."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the overlays and the positions."""
    op.create_table(
        "overlays",
        sa.Column(
            "sequence",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("score_run_id", sa.String(64), nullable=False),
        sa.Column("customer_id", sa.String(256), nullable=False),
        sa.Column("inbox_sequence", sa.BigInteger, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.UniqueConstraint("score_run_id", "customer_id"),
    )
    op.create_index("ix_overlays_customer_id", "overlays", ["customer_id"])
    op.create_table(
        "positions",
        sa.Column("name", sa.String(100), primary_key=True),
        sa.Column("sequence", sa.BigInteger, nullable=False),
    )
