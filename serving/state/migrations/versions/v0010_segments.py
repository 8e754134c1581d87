"""Saved segments, their versions, and how many were in them at each run."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the three tables."""
    op.create_table(
        "segments",
        sa.Column("slug", sa.String(40), primary_key=True),
        sa.Column("title", sa.String(100), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("changed_at", sa.String(32), nullable=False),
    )
    op.create_table(
        "segment_versions",
        sa.Column("slug", sa.String(40), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("title", sa.String(100), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("key_id", sa.String(32), nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
    )
    op.create_table(
        "segment_sizes",
        sa.Column("slug", sa.String(40), primary_key=True),
        sa.Column("score_run_id", sa.String(64), primary_key=True),
        sa.Column("as_of", sa.String(10), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("customer_count", sa.BigInteger, nullable=False),
        sa.Column("member_count", sa.BigInteger, nullable=False),
        sa.Column("joined_count", sa.BigInteger),
        sa.Column("left_count", sa.BigInteger),
    )
