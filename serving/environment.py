"""What belongs to the machine: addresses and folders, from the environment (`REGULARS_…`) or the command."""

import ipaddress
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from features.errors import UserError
from features.layout import Layout


class EnvironmentSettingError(UserError):
    """A setting in the environment, or its option of the command, is not possible."""


class Environment(BaseSettings):
    """Settings of the serving process; every field is an environment variable, `REGULARS_PORT` for instance.

    `host_names` are further names by which the service may be called, set apart by commas; loopback names
    always are. `log` says which requests get a line; `drain_seconds` how long a process that is stopped may
    still answer; scores count as stale `stale_after_days` after their date, with 0 never. With a
    `database_url` (`postgresql://…`) the state and the score runs lie in PostgreSQL, not in files of `var`.
    """

    model_config = SettingsConfigDict(env_prefix="REGULARS_", frozen=True)

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    var: Path = Path("var")
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    host_names: str = ""
    database_url: SecretStr | None = None
    poll_seconds: Annotated[float, Field(gt=0, le=60)] = 0.5
    log: Literal["off", "errors", "all"] = "all"
    drain_seconds: Annotated[int, Field(ge=1, le=3600)] = 30
    stale_after_days: Annotated[int, Field(ge=0, le=3650)] = 14

    def __init__(self, **given: Any) -> None:  # noqa: ANN401 - any field
        try:
            super().__init__(**given)
        except ValidationError as error:
            raise EnvironmentSettingError(_told(error)) from None

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can call."""
        return is_loopback(self.host)

    @property
    def layout(self) -> Layout:
        """Where everything lies."""
        return Layout(self.var)


def _told(error: ValidationError) -> str:
    """Name every wrong setting and what is allowed, without what was set: it may be a secret."""
    wrong = ((str(part["loc"][0]) if part["loc"] else "", part["msg"]) for part in error.errors())
    return "; ".join(f"REGULARS_{name.upper()}: {words[:1].lower()}{words[1:]}" for name, words in wrong)


def is_loopback(host: str) -> bool:
    """Say whether an address is this machine's own.

    >>> is_loopback("127.0.0.1"), is_loopback("0.0.0.0")
    (True, False)
    """
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
