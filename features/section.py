"""What every section of `regulars.toml` is."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Keys with their defaults; a key that is unknown is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")
