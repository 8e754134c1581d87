"""The log of changes, what happened to customers, and webhooks."""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the tables of the log and those of webhooks."""
    _add_log()
    _add_what_was_said()
    _add_webhooks()


def _add_log() -> None:
    sequence = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    log = op.create_table(
        "change_log",
        sa.Column("log_id", sa.String(32), primary_key=True),
        sa.Column("last_sequence", sa.BigInteger, nullable=False),
        sa.Column("removed_to", sa.BigInteger, nullable=False),
    )
    # A log of its own name: cursors of another one, in a state that was lost, are told so.
    op.bulk_insert(log, [{"log_id": secrets.token_hex(8), "last_sequence": 0, "removed_to": 0}])
    op.create_table(
        "changes",
        sa.Column("sequence", sequence, primary_key=True, autoincrement=False),
        sa.Column("customer_id", sa.Text, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("event", sa.String(32)),
        sa.Column("as_of", sa.String(10), nullable=False),
        sa.Column("score_run_id", sa.String(64), nullable=False),
        sa.Column("happened_at", sa.String(32), nullable=False),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.create_index("ix_changes_customer_id", "changes", ["customer_id"])
    op.create_index("ix_changes_happened_at", "changes", ["happened_at"])


def _add_what_was_said() -> None:
    op.create_table(
        "changes_said",
        sa.Column("customer_id", sa.Text, primary_key=True),
        sa.Column("inbox_sequence", sa.BigInteger, nullable=False),
        sa.Column("scored_at", sa.String(32), nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.create_index("ix_changes_said_sequence", "changes_said", ["sequence"])
    op.create_table(
        "change_occurrences",
        sa.Column("customer_id", sa.Text, primary_key=True),
        sa.Column("event", sa.String(32), primary_key=True),
        sa.Column("occurrence", sa.String(300), primary_key=True),
        sa.Column("noted_at", sa.String(32), nullable=False),
    )
    op.create_table(
        "change_runs",
        sa.Column("score_run_id", sa.String(64), primary_key=True),
        sa.Column("scored_at", sa.String(32), primary_key=True),
        sa.Column("finished_at", sa.String(32)),
    )


def _add_webhooks() -> None:
    op.create_table(
        "webhook_endpoints",
        sa.Column("endpoint_id", sa.String(32), primary_key=True),
        sa.Column("url", sa.String(2048), nullable=False),
        sa.Column("events", sa.String(300), nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("secret_number", sa.Integer, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("failing_since", sa.String(32)),
        sa.Column("resume_at", sa.String(32)),
        sa.Column("leased_until", sa.String(32)),
        sa.Column("disabled_at", sa.String(32)),
        sa.Column("disabled_reason", sa.String(64)),
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("endpoint_id", sa.String(32), primary_key=True),
        sa.Column("sequence", sa.BigInteger, primary_key=True),
        sa.Column("message_id", sa.String(64), nullable=False),
        sa.Column("customer_id", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("first_tried_at", sa.String(32)),
        sa.Column("next_at", sa.String(32), nullable=False),
    )
