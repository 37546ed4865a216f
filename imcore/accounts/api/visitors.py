"""Who asks about users (rest-api 2.4)."""

from rest_framework.request import Request

from imcore.accounts.records import Account
from imcore.accounts.services.managing import Visitor
from imcore.rest.authentication import caller_of, user_token_of


def visitor_of(request: Request) -> Visitor:
    """Return who asks: the developer, a user, or neither."""
    caller = caller_of(request)
    user = caller.user
    return Visitor(caller.is_master, bool(user_token_of(request)), user if isinstance(user, Account) else None)
