"""Paths below `/files/`: what anybody may download who knows where."""

from django.urls import path

from imcore.files.api import downloads

urlpatterns = [path("<str:folder>/<str:name>", downloads.download)]
