"""Run by alembic: migrate on the connection that `serving.state.migrate` hands over, in its transaction."""

from alembic import context

from serving.state.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"], target_metadata=METADATA, render_as_batch=True
)
context.run_migrations()
