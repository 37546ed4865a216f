"""Wire in: `conv/…` commands. Fields to keyword arguments, one service call, result to reply."""

from conversations.commands import lifecycle, membership, query

__all__ = ["lifecycle", "membership", "query"]
