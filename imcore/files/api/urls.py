"""Paths below `/1.1/` and `/1.2/`."""

from django.urls import URLPattern, path, re_path

from imcore.files.api import files, tokens
from imcore.rest.endpoints import resource
from imcore.rest.schemas import described

described("_File", **dict.fromkeys(("name", "url", "mime_type", "key", "bucket"), "String"), metaData="Object")

# Whatever the capitals; Django, which looks for the way back from names to paths, cannot bear `(?i)`.
_OTHERWISE = "_[Ff][Ii][Ll][Ee]|[Ff][Ii][Ll][Ee][Ss]"


def _of_files(at: str) -> list[URLPattern]:
    """Return the paths of files: SDKs have several names for them."""
    return [
        path(at, resource(GET=files.find, POST=files.create)),
        path(f"{at}/<str:object_id>", resource(GET=files.read, DELETE=files.delete)),
    ]


urlpatterns = [
    path("fileTokens", resource(POST=tokens.create)),
    path("fileCallback", resource(POST=tokens.call_back)),
    *_of_files("files"),
    *_of_files("classes/_File"),
    path("scan/classes/_File", resource(GET=files.scan)),
    re_path(rf"^classes/(?:{_OTHERWISE})(?P<rest>/[^/]+)?$", files.otherwise_spelled),
]
