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

CHANGE_LOG = sa.Table(
    "change_log",
    METADATA,
    sa.Column("log_id", sa.String(32), primary_key=True),
    # The last sequence that was given out; none is given out twice.
    sa.Column("last_sequence", sa.BigInteger, nullable=False),
    # The highest sequence that was removed; 0 before the first.
    sa.Column("removed_to", sa.BigInteger, nullable=False),
)

CHANGES = sa.Table(
    "changes",
    METADATA,
    # Commits come in its order, because writers wait for each other.
    sa.Column("sequence", _SEQUENCE, primary_key=True, autoincrement=False),
    sa.Column("customer_id", sa.Text, nullable=False, index=True),
    # scores, removed or event; `event` is null but for the last.
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("event", sa.String(32)),
    sa.Column("as_of", sa.String(10), nullable=False),
    sa.Column("score_run_id", sa.String(64), nullable=False),
    sa.Column("happened_at", sa.String(32), nullable=False, index=True),
    # JSON: the values said, or those of the event.
    sa.Column("document", sa.Text, nullable=False),
)

# What the log last said of each customer, and what its events have told.
SAID = sa.Table(
    "changes_said",
    METADATA,
    sa.Column("customer_id", sa.Text, primary_key=True),
    # Of the newest facts that changed anything: older ones are not news.
    sa.Column("inbox_sequence", sa.BigInteger, nullable=False),
    sa.Column("scored_at", sa.String(32), nullable=False),
    # The last row of kind scores, which stays when older changes are removed.
    sa.Column("sequence", sa.BigInteger, nullable=False, index=True),
    sa.Column("document", sa.Text, nullable=False),
)

# Which events have happened: none happens twice.
OCCURRENCES = sa.Table(
    "change_occurrences",
    METADATA,
    sa.Column("customer_id", sa.Text, primary_key=True),
    sa.Column("event", sa.String(32), primary_key=True),
    sa.Column("occurrence", sa.String(300), primary_key=True),
    sa.Column("noted_at", sa.String(32), nullable=False),
)

REPORTED_RUNS = sa.Table(
    "change_runs",
    METADATA,
    sa.Column("score_run_id", sa.String(64), primary_key=True),
    sa.Column("scored_at", sa.String(32), primary_key=True),
    # Null while it is being reported.
    sa.Column("finished_at", sa.String(32)),
)

ENDPOINTS = sa.Table(
    "webhook_endpoints",
    METADATA,
    sa.Column("endpoint_id", sa.String(32), primary_key=True),
    sa.Column("url", sa.String(2048), nullable=False),
    sa.Column("events", sa.String(300), nullable=False),
    sa.Column("created_at", sa.String(32), nullable=False),
    # Counts how often the secret was changed; the secret itself is not kept here.
    sa.Column("secret_number", sa.Integer, nullable=False),
    # Changes up to here have become deliveries.
    sa.Column("sequence", sa.BigInteger, nullable=False),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("failing_since", sa.String(32)),
    sa.Column("resume_at", sa.String(32)),
    sa.Column("leased_until", sa.String(32)),
    sa.Column("disabled_at", sa.String(32)),
    sa.Column("disabled_reason", sa.String(64)),
    sa.Column("last_failure", sa.String(200)),
)

DELIVERIES = sa.Table(
    "webhook_deliveries",
    METADATA,
    sa.Column("endpoint_id", sa.String(32), primary_key=True),
    sa.Column("sequence", sa.BigInteger, primary_key=True),
    # The `webhook-id`: the same whenever it is tried again.
    sa.Column("message_id", sa.String(64), nullable=False),
    sa.Column("customer_id", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("first_tried_at", sa.String(32)),
    sa.Column("next_at", sa.String(32), nullable=False),
)

JOBS = sa.Table(
    "jobs",
    METADATA,
    # Counts up: what a later job sent is newer than what an earlier one did.
    sa.Column(
        "job_number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True
    ),
    sa.Column("job_id", sa.String(40), nullable=False, unique=True),
    # Who asked; empty through the open door.
    sa.Column("key_id", sa.String(32), nullable=False),
    # What was asked for, as JSON.
    sa.Column("request", sa.Text, nullable=False),
    sa.Column("with_identity", sa.Boolean, nullable=False),
    # Where the rows go, if only what changed since the last time is wanted; jobs of one go one after another.
    sa.Column("destination", sa.String(100), nullable=False),
    sa.Column("status", sa.String(10), nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    # Seconds since 1970; whoever runs it has died when this has passed.
    sa.Column("leased_until", sa.Float),
    sa.Column("created_at", sa.String(32), nullable=False),
    sa.Column("started_at", sa.String(32)),
    sa.Column("finished_at", sa.String(32)),
    sa.Column("expires_at", sa.String(32)),
    # What came of it, as JSON; and the code of what went wrong.
    sa.Column("result", sa.Text),
    sa.Column("error", sa.String(40)),
    sqlite_autoincrement=True,
)

IDEMPOTENCY = sa.Table(
    "idempotency_keys",
    METADATA,
    sa.Column("key_id", sa.String(32), primary_key=True),
    # SHA-256 of the operation and of the caller's own key, and of the body, in hex.
    sa.Column("token", sa.String(64), primary_key=True),
    sa.Column("body_digest", sa.String(64), nullable=False),
    sa.Column("answer", sa.Text, nullable=False),
    # Seconds since 1970.
    sa.Column("created_at", sa.Float, nullable=False),
)

LAST_SENT = sa.Table(
    "last_sent",
    METADATA,
    sa.Column("destination", sa.String(100), primary_key=True),
    sa.Column("customer_id", sa.String(256), primary_key=True),
    # Counts once the job of this number is done.
    sa.Column("job_number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("attributes", sa.Text, nullable=False),
)

# Customers who were scored again since a run.
OVERLAYS = sa.Table(
    "overlays",
    METADATA,
    # Counts up over all runs: whoever follows asks for what is newer.
    sa.Column("sequence", _SEQUENCE, primary_key=True, autoincrement=False),
    sa.Column("score_run_id", sa.String(64), nullable=False),
    sa.Column("customer_id", sa.String(256), nullable=False, index=True),
    # Messages up to here are in these scores.
    sa.Column("inbox_sequence", sa.BigInteger, nullable=False),
    # JSON: the stored row, null where the customer is none any more, the lists and what was bought, packed.
    sa.Column("document", sa.Text, nullable=False),
    # When a newer overlay of the customer took its place; cursors that saw it still read it.
    sa.Column("superseded_at", sa.String(32)),
    # The number of the customer's first overlay of the run.
    sa.Column("first_sequence", sa.BigInteger, nullable=False),
)

# How far something has come that must not begin anew, by its name.
POSITIONS = sa.Table(
    "positions",
    METADATA,
    sa.Column("name", sa.String(100), primary_key=True),
    sa.Column("sequence", sa.BigInteger, nullable=False),
)

SUPPRESSIONS = sa.Table(
    "suppressions",
    METADATA,
    sa.Column("number", _SEQUENCE, primary_key=True, autoincrement=True),
    # HMAC-SHA256 of a customer id under a pepper that lies outside the data, in hex.
    sa.Column("mark", sa.String(64), nullable=False, unique=True),
    # Tells one pepper from another.
    sa.Column("pepper_check", sa.String(16), nullable=False),
    sa.Column("created_at", sa.String(32), nullable=False),
    # Not null: it counts no more. The row stays, so that no copy of it elsewhere brings it back.
    sa.Column("lifted_at", sa.String(32)),
    sqlite_autoincrement=True,
)

PRIVACY_REQUESTS = sa.Table(
    "privacy_requests",
    METADATA,
    sa.Column("request_number", _SEQUENCE, primary_key=True, autoincrement=True),
    sa.Column("request_id", sa.String(40), nullable=False, unique=True),
    # Who asked; empty through the open door and for signed webhooks.
    sa.Column("key_id", sa.String(32), nullable=False),
    sa.Column("kind", sa.String(10), nullable=False),
    sa.Column("with_identity", sa.Boolean, nullable=False),
    # JSON of `Subject`: whom it is about. Null as soon as it is done: the marks are all that stays.
    sa.Column("subject", sa.Text),
    sa.Column("marks", sa.Text, nullable=False),
    sa.Column("status", sa.String(12), nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    # Seconds since 1970: its runner has died by then; of one that waits, when it is tried again.
    sa.Column("leased_until", sa.Float),
    sa.Column("created_at", sa.String(32), nullable=False),
    sa.Column("started_at", sa.String(32)),
    sa.Column("finished_at", sa.String(32)),
    sa.Column("expires_at", sa.String(32)),
    # JSON: what was done to each store.
    sa.Column("receipts", sa.Text, nullable=False),
    sqlite_autoincrement=True,
)

SEGMENTS = sa.Table(
    "segments",
    METADATA,
    sa.Column("slug", sa.String(40), primary_key=True),
    sa.Column("title", sa.String(100), nullable=False),
    # The newest one.
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("created_at", sa.String(32), nullable=False),
    sa.Column("changed_at", sa.String(32), nullable=False),
)

SEGMENT_VERSIONS = sa.Table(
    "segment_versions",
    METADATA,
    sa.Column("slug", sa.String(40), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("title", sa.String(100), nullable=False),
    # A condition; it names no customer.
    sa.Column("text", sa.Text, nullable=False),
    # Who wrote it; empty through the open door.
    sa.Column("key_id", sa.String(32), nullable=False),
    sa.Column("created_at", sa.String(32), nullable=False),
)

# Counts alone: who was in a segment is told by the runs that are kept.
SEGMENT_SIZES = sa.Table(
    "segment_sizes",
    METADATA,
    sa.Column("slug", sa.String(40), primary_key=True),
    sa.Column("score_run_id", sa.String(64), primary_key=True),
    sa.Column("as_of", sa.String(10), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("customer_count", sa.BigInteger, nullable=False),
    sa.Column("member_count", sa.BigInteger, nullable=False),
    # Against the run before, by the same words; null where there was none to compare with.
    sa.Column("joined_count", sa.BigInteger),
    sa.Column("left_count", sa.BigInteger),
)

# Every list that left the service. It names no customer: who was on it lies in a file, until it is measured.
LIST_EXPORTS = sa.Table(
    "list_exports",
    METADATA,
    sa.Column("export_number", _SEQUENCE, primary_key=True, autoincrement=True),
    sa.Column("export_id", sa.String(40), nullable=False, unique=True),
    # Who took it; empty through the open door.
    sa.Column("key_id", sa.String(32), nullable=False),
    sa.Column("taken_at", sa.String(32), nullable=False),
    # The job whose file it was; null of a CSV that was streamed.
    sa.Column("job_id", sa.String(40)),
    sa.Column("audience", sa.String(64), nullable=False),
    sa.Column("score_run_id", sa.String(64), nullable=False),
    sa.Column("as_of", sa.String(10), nullable=False),
    # JSON: the filter and the form that were asked for.
    sa.Column("request", sa.Text, nullable=False),
    sa.Column("control_group_share", sa.Float, nullable=False),
    sa.Column("control_group_count", sa.Integer),
    sa.Column("with_identity", sa.Boolean, nullable=False),
    # How many rows went, and whether all did; null while it goes out, and where the process died meanwhile.
    sa.Column("row_count", sa.Integer),
    sa.Column("is_whole", sa.Boolean),
    # none (nothing to measure), waiting, kept (in a file), gone (with their run), or done (all is measured).
    sa.Column("members", sa.String(8), nullable=False, index=True),
    # JSON: what came of it so far.
    sa.Column("outcome", sa.Text),
    sqlite_autoincrement=True,
)
