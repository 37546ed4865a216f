"""Paths below `/1.1/` and `/1.2/` that are no app's."""

from django.urls import path, re_path

from imcore.rest import basics, batches, saving, schemas
from imcore.rest.endpoints import resource

urlpatterns = [
    path("date", resource(GET=basics.date)),
    path("batch", resource(POST=batches.run)),
    path("batch/save", resource(POST=saving.save)),
    path("schemas", resource(GET=schemas.find)),
    path("schemas/<str:class_name>", resource(GET=schemas.read)),
    path("ping", resource(GET=basics.ping)),
    re_path(r"^(?:stats|statistics|always_collect|open/collect)(?:/.*)?$", basics.drop_statistics),
]
