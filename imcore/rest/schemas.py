"""`GET /schemas`: which columns classes have (rest-api 10.1). Each class says so where its paths are:

    described("_Conversation", name="String", m="Array", …)

Columns that developers add are JSON of any type, and in no list.
"""

from collections.abc import Mapping
from typing import Final

from rest_framework.request import Request
from rest_framework.response import Response

from imcore.objects import ClassUnknown
from imcore.rest.authentication import Who
from imcore.rest.endpoints import endpoint
from imcore.rest.openapi import OBJECT

_EVERY_CLASS: Final = {"objectId": "String", "createdAt": "Date", "updatedAt": "Date", "ACL": "ACL"}

_classes: dict[str, Mapping[str, str]] = {}


def described(class_name: str, **columns: str) -> None:
    """Register the columns of a class, by name, with their types as the hosted service has them."""
    _classes[class_name] = {**_EVERY_CLASS, **columns}


@endpoint(Who.MASTER, answers=OBJECT)
def find(request: Request) -> Response:
    """Answer the columns of all classes."""
    return Response({name: _written(columns) for name, columns in sorted(_classes.items())})


@endpoint(Who.MASTER, answers=OBJECT)
def read(request: Request, class_name: str) -> Response:
    """Answer the columns of a class."""
    if class_name not in _classes:
        raise ClassUnknown(class_name[:100])
    return Response(_written(_classes[class_name]))


def _written(columns: Mapping[str, str]) -> dict[str, dict[str, str]]:
    return {name: {"type": kind} for name, kind in columns.items()}
