"""Who asks about users (rest-api 2.4)."""

from dataclasses import replace

from rest_framework.request import Request

from imcore.accounts.records import Account
from imcore.accounts.services.managing import Visitor
from imcore.rest.authentication import Caller, caller_of, user_token_of


def visitor_of(request: Request) -> Visitor:
    """Return who asks: the developer, a user, or neither."""
    return replace(as_visitor(caller_of(request)), has_token=bool(user_token_of(request)))


def as_visitor(caller: Caller) -> Visitor:
    """Return who asks, as far as it was let in."""
    user = caller.user
    return Visitor(caller.is_master, user is not None, user if isinstance(user, Account) else None)
