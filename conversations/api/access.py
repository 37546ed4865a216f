"""Who may do what with conversations over HTTP: the developer all, others what settings open to them (rest-api 8)."""

from typing import Literal

from rest_framework.request import Request

from conversations.models import ConversationSettings
from imcore.rest.authentication import Caller, caller_of
from imcore.rest.exceptions import MasterKeyRequired

Operation = Literal["create", "find", "update", "delete"]


def allowed(request: Request, operation: Operation) -> Caller:
    """Return the caller. Raises MasterKeyRequired if he has the App Key only, and this is not open to that."""
    caller = caller_of(request)
    if not may(caller, operation):
        raise MasterKeyRequired
    return caller


def may(caller: Caller, operation: Operation) -> bool:
    """Return whether a caller may do this with conversations."""
    return caller.is_master or getattr(caller.application.of(ConversationSettings), f"rest_open_{operation}")
