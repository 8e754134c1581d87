"""The tables of the state, as the newest migration leaves them.

Instants are RFC 3339 text in UTC: SQLite has no type that keeps an offset, and text sorts as time does.
"""

import sqlalchemy as sa

METADATA = sa.MetaData()

KEYS = sa.Table(
    "api_keys",
    METADATA,
    sa.Column("key_id", sa.String(32), primary_key=True),
    sa.Column("name", sa.String(100), nullable=False),
    # SHA-256 of the whole key, in hex; the key itself is kept nowhere.
    sa.Column("digest", sa.String(64), nullable=False, unique=True),
    sa.Column("scopes", sa.String(200), nullable=False),
    sa.Column("created_at", sa.String(32), nullable=False),
    sa.Column("expires_at", sa.String(32)),
    sa.Column("revoked_at", sa.String(32)),
    sa.Column("last_used_at", sa.String(32)),
    sa.Column("calls_per_minute", sa.Integer, nullable=False, server_default="60000"),
)

BUCKETS = sa.Table(
    "call_buckets",
    METADATA,
    sa.Column("key_id", sa.String(32), primary_key=True),
    sa.Column("calls", sa.Float, nullable=False),
    # Seconds since 1970.
    sa.Column("filled_at", sa.Float, nullable=False),
)

_SEQUENCE = sa.BigInteger().with_variant(sa.Integer, "sqlite")

INBOX = sa.Table(
    "inbox",
    METADATA,
    sa.Column("sequence", _SEQUENCE, primary_key=True, autoincrement=True),
    # SHA-256 of the source and its id of the message, in hex: a message that comes again is known by it.
    sa.Column("digest", sa.String(64), nullable=False, unique=True),
    sa.Column("source", sa.String(64), nullable=False),
    sa.Column("customer_id", sa.String(256), nullable=False, index=True),
    # SHA-256 of what groups the words about one order; null for events.
    sa.Column("order_key", sa.String(64), index=True),
    sa.Column("received_at", sa.String(32), nullable=False),
    # JSON of a message of `features.messages`.
    sa.Column("body", sa.Text, nullable=False),
    # waiting, folded (in the history), or aside (with the reason).
    sa.Column("standing", sa.String(16), nullable=False, server_default="waiting", index=True),
    sa.Column("reason", sa.String(32)),
    sqlite_autoincrement=True,
)

INBOX_PURCHASES = sa.Table(
    "inbox_purchases",
    METADATA,
    sa.Column("sequence", _SEQUENCE, primary_key=True, autoincrement=False),
    sa.Column("product_id", sa.String(256), primary_key=True),
    sa.Column("customer_id", sa.String(256), nullable=False, index=True),
)
