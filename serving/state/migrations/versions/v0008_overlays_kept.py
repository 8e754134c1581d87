"""Overlays that a newer one took the place of stay for a while: cursors are pinned to what they saw."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Make the table anew: a customer may have several overlays of a run."""
    op.rename_table("overlays", "overlays_before")
    op.drop_index("ix_overlays_customer_id", table_name="overlays_before")
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
        sa.Column("superseded_at", sa.String(32)),
        sa.Column("first_sequence", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_overlays_customer_id", "overlays", ["customer_id"])
    names = "sequence, score_run_id, customer_id, inbox_sequence, document"
    op.execute(
        f"INSERT INTO overlays ({names}, first_sequence) SELECT {names}, sequence FROM overlays_before"  # noqa: S608 - fixed names
    )
    op.drop_table("overlays_before")
