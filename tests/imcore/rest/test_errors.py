"""Errors that the WebSocket and HTTP share, as HTTP has them (rest-api 4.1)."""

import pytest

from imcore import errors
from imcore.errors import ImError
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
