"""Wire in: `conv/…` and `blacklist/…` commands. Fields to keyword arguments, one service call, result to reply."""

from conversations.commands import lifecycle, membership, moderation, query, rooms

__all__ = ["lifecycle", "membership", "moderation", "query", "rooms"]
