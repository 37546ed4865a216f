"""The body of a message as clients send it, in a `direct` or a `patch`."""

from typing import Literal

from imcore.errors import ConversationRequestInvalid
from imcore.protocol.message_pb2 import DirectCommand, PatchItem
from messaging.events import Body


def body_of(message: DirectCommand | PatchItem, text_field: Literal["msg", "data"], text: str) -> Body:
    """Return a message's body: its `binaryMsg`, or the text of the field named. Raises ConversationRequestInvalid."""
    # C# takes a present, empty `binaryMsg` for a binary message, so only a filled one, or a lone one, is one.
    if message.binaryMsg or (message.HasField("binaryMsg") and not message.HasField(text_field)):
        return Body(text=None, binary=message.binaryMsg)
    if not message.HasField(text_field):
        raise ConversationRequestInvalid("The message has no body.")
    return Body(text=text, binary=None)
