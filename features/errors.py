"""The root of every error that a user can mend.

UserError                      one clear line, exit code 2
├── features.report.DataError  the input has problems: all of them, listed at once
├── features.settings.SettingsError
├── features.history.HistoryError
├── models.bundle.BundleError  a bundle is damaged or does not fit
└── …                          each stands beside the code that raises it

A message says what was seen, what is allowed and what to do next.
"""


class UserError(Exception):
    """A mistake or a missing thing that the user can mend; commands print it as one line and exit with 2."""
