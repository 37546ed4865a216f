"""The marks of members: what a client has received and read, and so what is unread for it.

A door for messaging's storage, as `positions.py` is (docs/adr/0008).
"""

from typing import NamedTuple

from conversations.policy import Kind

__all__ = ["Count"]


class Count(NamedTuple):
    """What a member has not read of a conversation, as it stands at `last_seq`."""

    conversation: int
    conversation_id: str
    kind: Kind
    unread: int
    is_mentioned: bool
    last_seq: int
