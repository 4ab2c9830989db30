"""The settings of a made-up directory, as they stand in the agent's TOML file."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Settings(BaseModel):
    """One made-up directory."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9.-]+$", description="DNS name of the domain, such as made-up.test.")
    users: int = Field(default=1000, ge=0, le=10_000_000, description="How many users there are.")
    groups: int = Field(default=10, ge=0, le=1_000_000, description="How many groups there are.")
    members: int = Field(default=100, ge=0, description="How many members each group has; not more than users.")
    largest: int = Field(default=0, ge=0, description="How many members the first group has; 0 is as the others.")
    duplicates: int = Field(default=0, ge=0, description="Every so-manieth user has the mail of another; 0 is nobody.")
    emptied_at: int = Field(default=0, ge=0, description="Revision from which the first group is empty; 0 is never.")
    left_at: int = Field(default=0, ge=0, description="Revision from which the first group is marked; 0 is never.")
    seed: int = Field(default=0, ge=0, lt=2**32, description="Directories with different seeds share no anchor.")
    pause: float = Field(default=0, ge=0, description="Seconds that each page takes beyond the making of it.")
    revision_file: Path | None = Field(
        default=None,
        description="File with a whole number: how many changes have happened to the directory so far. "
        "An odd change gives a user a new title, an even one lets a user join or leave the first group.",
    )

    notifies: bool = Field(
        default=False, description="Tell by itself when the revision file is written; otherwise changes are asked for."
    )

    @model_validator(mode="after")
    def _enough_users(self) -> Self:
        most = max(self.members, self.largest) if self.groups else 0
        if most > self.users:
            raise ValueError(f"a group of {most} members needs as many users; there are {self.users}")
        return self
