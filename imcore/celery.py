"""The Celery application. `celery -A imcore worker --beat` runs it; the embedded server runs it in a thread."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "imcore.settings")

app = Celery("imcore")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
