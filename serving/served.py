"""The application as a process of the server runs it."""

import gc

from fastapi import FastAPI

from serving.api import create_app


def create_served_app() -> FastAPI:
    """Return the application of a process that does nothing else.

    What stands by now stays for ever: no look for garbage goes through it, which would hold up whoever is
    answered meanwhile by a tenth of a second.
    """
    app = create_app()
    gc.collect()
    gc.freeze()
    return app
