"""Wire in: `session/…`, `direct`, `patch/…`, `logs`, `ack`, `read`, `conv/max_read`, `report/upload`."""

from messaging.commands import direct, history, missing, patching, receipts, report, session, wills

__all__ = ["direct", "history", "missing", "patching", "receipts", "report", "session", "wills"]
