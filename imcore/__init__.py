"""The project, and the core all apps stand on: protocol, gateway, delivery, and a small kernel.

Promise: a frame that comes in reaches the function an app registered for it, and an event an app publishes reaches
the clients it names. imcore imports no app; apps import imcore. It finds their commands, notices and tasks by name
(`apps.py`), their URLs by string.

    protocol/  the wire          gateway/  sockets in          delivery/  events out          rest/  HTTP
    models, appsettings, errors, limits, identifiers, batching, bridge, redis, metrics: the kernel

Follow a message: docs/way-of-a-message.md. Add something: docs/adding.md.
"""

from imcore.celery import app as celery_app

__all__ = ["celery_app"]
