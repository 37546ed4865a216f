"""What messaging does: rules and the order of steps. Async; takes and returns domain words."""

from messaging.services import history

__all__ = ["history"]
