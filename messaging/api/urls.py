"""Paths below `/1.1/` and `/1.2/`."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
