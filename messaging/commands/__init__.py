"""Wire in: `session/…`, `direct`, `logs`, `patch/…`, `ack`, `read`, `conv/max_read`."""

from messaging.commands import direct, history, patching, receipts, session

__all__ = ["direct", "history", "patching", "receipts", "session"]
