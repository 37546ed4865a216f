"""Wire in: `session/…`, `direct`, `logs`, `ack`, `read`, `conv/max_read`."""

from messaging.commands import direct, history, receipts, session

__all__ = ["direct", "history", "receipts", "session"]
