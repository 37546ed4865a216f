"""Paths below `/1.1/` and `/1.2/`."""

from django.urls import URLPattern, path

from imcore.installations.api import installations
from imcore.rest.endpoints import resource


def _of_installations(at: str) -> list[URLPattern]:
    """Return the paths of installations: SDKs have two names for them."""
    return [
        path(at, resource(GET=installations.find, POST=installations.create)),
        path(
            f"{at}/<str:object_id>",
            resource(GET=installations.read, PUT=installations.update, DELETE=installations.delete),
        ),
    ]


urlpatterns = [
    *_of_installations("installations"),
    *_of_installations("classes/_Installation"),
    path("scan/classes/_Installation", resource(GET=installations.scan)),
]
