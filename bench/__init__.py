"""Benchmarks: imcore under load, beside servers one may compare it with.

    python -m bench                          everything, about twenty minutes; writes docs/benchmarks.md
    python -m bench --only fanout            one part of it (or: stored, rooms, queries, rest, broadcast, storm)
    python -m bench --quick                  one short round, to see that it works; writes nothing
    python -m bench profile stored           ours alone under load, for a profiler

    processes.py     servers as subprocesses: pinned, awaited, their CPU time, ended
    generator.py     the load: lanes of connections, driven by drive.c
    wire.py          WebSocket and MQTT connections, as far as setting up a load needs them
    clients/         how each server's clients connect, sign in and join
    servers/         the servers of comparison: the bare ASGI app, the tutorial chat, the ORM way, socket.io
    contestants.py   which server is started how
    crowding.py      a database full of conversations, and the plans of queries
    measuring.py     rounds, medians
    report.py        tables, verdicts, docs/benchmarks.md

The measure is CPU time of the server (and its database) per delivery or message, not wall time: it does not depend on
the load generator, and far less on what else the machine does. All traffic stays on 127.0.0.1.
"""
