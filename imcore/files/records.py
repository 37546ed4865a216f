"""A file, as it is handed from room to room."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file, as stored.

    `key`: where its bytes are, None if they are elsewhere, at `url`. `size` and `digest` are those of the bytes, once
    they are here (`arrived_ms`); the digest a little sooner, so that two uploads at a time do not become one.
    """

    pk: int
    object_id: str
    key: str | None
    url: str
    name: str
    mime_type: str
    metadata: dict[str, Any]
    size: int | None
    digest: str
    owner_id: str
    created_ms: int
    updated_ms: int
    arrived_ms: int | None

    @property
    def is_pending(self) -> bool:
        """Return whether the bytes are still to come."""
        return self.arrived_ms is None


@dataclass(frozen=True, slots=True)
class Arrival:
    """What came for a file: how many bytes, and what tells them from others."""

    size: int
    digest: str
