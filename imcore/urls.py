"""Paths. Apps are named by string, so that the core imports none of them.

Paths of the API are written without a slash at their end, and come without: `rest/middleware.py` makes plain whatever
SDKs make of their server's address (rest-api 1.4).
"""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path, re_path
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerView

from imcore.rest import router, upstream
from imcore.rest.endpoints import resource

# Whatever has no other path in the two versions is served under both (rest-api 1.5).
both_versions: list[URLPattern | URLResolver] = [
    path("", include("imcore.rest.urls")),
    path("", include("imcore.accounts.api.urls")),
    path("", include("imcore.installations.api.urls")),
    path("", include("imcore.files.api.urls")),
    # What a subscriber was told lies below the subscriber, whose id may have slashes: the longer path comes first.
    path("", include("messaging.api.urls")),
    path("", include("conversations.api.urls")),
    path("", include("imcore.rest.absent")),
    path("<path:unserved>", upstream.unknown_path),
]

urlpatterns = [
    path("admin/", admin.site.urls),
    path("healthz", router.healthz),
    path("readyz", router.readyz),
    path("docs/openapi.json", SpectacularJSONAPIView.as_view(), name="openapi"),
    re_path(r"^docs/?$", SpectacularSwaggerView.as_view(url_name="openapi"), name="docs"),
    path("files/", include("imcore.files.api.public_urls")),
    path("v1/route", resource(GET=router.route)),
    path("2/route", resource(GET=router.app_route)),
    path("1.1/", include(both_versions)),
    path("1.2/", include(both_versions)),
]

handler400 = "imcore.rest.exceptions.bad_request"
handler404 = "imcore.rest.exceptions.not_found"
handler500 = "imcore.rest.exceptions.server_error"
