"""Chat rooms by the name that 1.1 has for them (rest-api 9)."""

from rest_framework.request import Request
from rest_framework.response import Response

from conversations.api.families import CHAT_ROOMS, conversation_of
from conversations.services import rooms
from imcore.bridge import in_async
from imcore.rest import parameters
from imcore.rest.authentication import Who
from imcore.rest.endpoints import endpoint
from imcore.rest.openapi import INTEGER, STRING, record


@endpoint(Who.APPLICATION, needs={"gid": STRING}, answers=record(result=INTEGER))
def online_count(request: Request) -> Response:
    """Answer how many clients are in a chat room."""
    conversation = conversation_of(request, parameters.of(request).string("gid"), CHAT_ROOMS)
    return Response({"result": in_async(rooms.occupancy, conversation).clients})
