"""Paths. Apps are named by string, so that the core imports none of them.

SDKs write `//v1/route` when their server address ends in a slash, hence the tolerant patterns (rest-api 1.4).
"""

from django.contrib import admin
from django.urls import include, path, re_path

from imcore.rest import router

urlpatterns = [
    path("admin/", admin.site.urls),
    path("healthz", router.healthz),
    path("readyz", router.readyz),
    re_path(r"^/*v1/route/?$", router.route),
    # Whatever has no other path in the two versions is served under both (rest-api 1.5).
    re_path(r"^/*1\.[12]/+", include("conversations.api.urls")),
]

handler400 = "imcore.rest.exceptions.bad_request"
handler404 = "imcore.rest.exceptions.not_found"
handler500 = "imcore.rest.exceptions.server_error"
