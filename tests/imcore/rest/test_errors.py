"""Errors that the WebSocket and HTTP share, as HTTP has them (rest-api 4.1)."""

import pytest

from imcore import errors
from imcore.accounts.errors import Forbidden
from imcore.errors import ImError
from imcore.objects import InvalidType
from imcore.rest.exceptions import to_response


@pytest.mark.parametrize(
    "error",
    [
        errors.ApplicationUnknown,
        errors.InvalidLogin,
        errors.MessageTooLong,
        errors.ConversationNotFound,
        errors.ConversationFull,
        errors.OperationUnauthorized,
        errors.UnknownRole,
        errors.InvalidMessagingTarget,
        errors.BlockListFull,
        errors.SilenceListFull,
    ],
)
def test_what_the_specification_lists_is_a_400(error: type[ImError]) -> None:
    """With the code and the reason of the WebSocket."""
    answer = to_response(error(), {})

    assert (answer.status_code, answer.data) == (400, {"code": error.code, "error": error.reason})


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (InvalidType("badge"), "Invalid value type for the column: badge"),
        (Forbidden("The session is over; log in again."), "Forbidden: The session is over; log in again."),
        (Forbidden(), "Forbidden."),
        (errors.ConversationNotFound("no such thing"), "CONVERSATION_NOT_FOUND"),
    ],
)
def test_a_sentence_says_what_is_wrong(error: ImError, text: str) -> None:
    """SDKs drop `detail` and show `error`; the names of the socket are matched on and stay as they are."""
    answer = to_response(error, {})

    assert answer.data["error"] == text
    assert answer.data.get("detail", "") == error.detail
