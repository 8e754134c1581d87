"""What a score store refuses.

StoreError                 the store cannot be read or written
├── NoRunError             nothing was published yet
├── RunGoneError           the run was removed (only the newest few are kept)
├── BusyError              one caller has too many readings waiting
├── OldRunError            the run was made by another release, in another layout
└── PublishError           a run was refused, or another one is being made
"""

from features.errors import UserError


class StoreError(UserError):
    """The score store cannot be read or written."""


class NoRunError(StoreError):
    """No run was published yet."""


class RunGoneError(StoreError):
    """A run that is no longer kept was asked for."""


class BusyError(StoreError):
    """One caller has too many readings waiting."""


class OldRunError(StoreError):
    """A run was asked for that another release made, in another layout."""


class PublishError(StoreError):
    """A run was refused, or another one is being made at this moment."""
