"""Paths below `/1.1/` and `/1.2/`."""

from django.urls import URLPattern, path

from imcore.installations import services
from imcore.installations.api import installations
from imcore.rest.endpoints import resource
from imcore.rest.schemas import described


def _of_installations(at: str) -> list[URLPattern]:
    """Return the paths of installations: SDKs have two names for them."""
    return [
        path(at, resource(GET=installations.find, POST=installations.create)),
        path(
            f"{at}/<str:object_id>",
            resource(GET=installations.read, PUT=installations.update, DELETE=installations.delete),
        ),
    ]


described("_Installation", **dict.fromkeys(services.TEXTS, "String"), channels="Array", badge="Number", valid="Boolean")

urlpatterns = [
    *_of_installations("installations"),
    *_of_installations("classes/_Installation"),
    path("scan/classes/_Installation", resource(GET=installations.scan)),
]
