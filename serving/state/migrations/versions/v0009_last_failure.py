"""What a webhook's receiver answered last when it did not take a message."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the column; empty until the next failure."""
    op.add_column("webhook_endpoints", sa.Column("last_failure", sa.String(200)))
