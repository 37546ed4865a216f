"""Wire in: `conv/…` and `blacklist/…` commands. Fields to keyword arguments, one service call, result to reply."""

from conversations.commands import attributes, lifecycle, membership, moderation, query, rooms

__all__ = ["attributes", "lifecycle", "membership", "moderation", "query", "rooms"]
