"""Wire in: `session/…`, `direct`, `logs`."""

from messaging.commands import direct, history, session

__all__ = ["direct", "history", "session"]
