"""What needs Django and the server's database: filling it with conversations, and the plans of queries.

python -m bench.crowding fill 100000    in the environment of a server that runs
python -m bench.crowding plans
"""

import json
import sys
from collections.abc import Iterator
from typing import Any

import django

from bench.clients.ours import APP_ID
from tests.conversations.storage import crowd


def main() -> None:
    """Do what the command line says."""
    django.setup()
    from imcore.models import Application

    application = Application.objects.get(app_id=APP_ID).pk
    if sys.argv[1] == "fill":
        _fill(application, int(sys.argv[2]))
    else:
        print(json.dumps({name: _plan(application, form) for name, form in crowd.FORMS.items()}))


def _fill(application: int, conversations: int) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        crowd.fill(cursor, application=application, vendor=connection.vendor, conversations=conversations)
        # All that would otherwise be done in somebody's measured time.
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("CHECKPOINT")


def _plan(application: int, form: crowd.Form) -> tuple[int, list[str]]:
    """Return how many conversations a query finds, and the nodes of its plan that read a table or an index."""
    from django.db import connection

    from conversations.storage import queries
    from conversations.storage.where import parse

    sql, parameters = queries.statement(
        application=application,
        client_id=crowd.CALLER,
        where=parse(form.where),
        sort=[queries.SortKey(form.sort.removeprefix("-"), form.sort.startswith("-"))] if form.sort else [],
        limit=10,
        skip=0,
        vendor=connection.vendor,
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        rows = len(cursor.fetchall())
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", parameters)
        (explained,) = cursor.fetchone()
    (top,) = json.loads(explained) if isinstance(explained, str) else explained
    return rows, list(dict.fromkeys(_scans(top["Plan"])))


def _scans(node: dict[str, Any]) -> Iterator[str]:
    if index := node.get("Index Name"):
        yield f"{node['Node Type']} {index}"
    elif node["Node Type"] == "Seq Scan":
        yield f"Seq Scan {node['Relation Name']}"
    for inner in node.get("Plans", ()):
        yield from _scans(inner)


if __name__ == "__main__":
    main()
