"""Tables, verdicts, and docs/benchmarks.md."""

import json
import os
import platform
import re
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from importlib.metadata import version

from bench import contestants as names
from bench.measuring import Case, Results, median
from bench.processes import CORES
from bench.storm import Footprints
from tests.conversations.storage.crowd import FORMS

DOCUMENT = names.ROOT / "docs" / "benchmarks.md"
MEMBERS = (100, 500)
IN_FLIGHT = (64, 512)
LISTENERS = (2000,)
CONVERSATIONS = (100_000,)
CALLERS = (1, 16)
READERS = (2,)
KNOWN = (100_000, 10_000)
QUICK_MEMBERS = (20,)
QUICK_IN_FLIGHT = (8,)
QUICK_LISTENERS = (50,)
QUICK_CALLERS = (4,)
QUICK_CONVERSATIONS = (5000,)
QUICK_KNOWN = (2000,)

# Of each query: how many conversations it finds, and what its plan reads.
Plans = Mapping[str, tuple[int, list[str]]]

# What a release has to reach.
MOST_TIMES_BARE = 1.5
LEAST_TIMES_LESS_THAN_TUTORIAL = 15.0
MOST_US_PER_STORED_MESSAGE = 200.0
LEAST_TIMES_LESS_THAN_ORM = 5.0
MOST_STATEMENTS_PER_OPENING = 6
MOST_TIMES_VIEW = 1.5
MOST_TIMES_DEPTH = 1.25
MOST_TIMES_FEWER_KNOWN = 1.15
ONLINE_MOST = 2000
MOST_KIB_PER_CONNECTION = 40


def fanout_table(results: Results, *, who: str = "members") -> str:
    """Return the table of one message to a room."""
    rows = [
        f"| server | {who} | CPU µs per delivery | least–most | × bare ASGI | deliveries per CPU second | generator |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for case, samples in results.items():
        middle = median(samples)
        bare = results.get(Case(names.BARE, "", case.size))
        times = f"{middle.cpu_us / median(bare).cpu_us:.2f}" if bare else "–"
        rows.append(
            f"| {case.name} | {case.size} | {middle.cpu_us:.1f} | {_spread(results, case)} | {times} "
            f"| {1e6 / middle.cpu_us:,.0f} | {middle.generator_share:.2f} |"
        )
    return "\n".join(rows)


def one_to_one_table(results: Results) -> str:
    """Return the table of stored, acknowledged and delivered messages."""
    rows = [
        "| server | database | in flight | CPU µs per message | least–most | of it database | messages per CPU second "
        "| p50 / p99 ms | generator |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for case, samples in results.items():
        middle = median(samples)
        database = f"{middle.database_us:.0f}" if case.database == "PostgreSQL" else "in it"
        rows.append(
            f"| {case.name} | {case.database} | {case.size} | {middle.cpu_us:.0f} | {_spread(results, case)} "
            f"| {database} | {1e6 / middle.cpu_us:,.0f} | {middle.p50_ms:.1f} / {middle.p99_ms:.1f} "
            f"| {middle.generator_share:.2f} |"
        )
    return "\n".join(rows)


def crossing_table(results: Results) -> str:
    """Return the table of entering and leaving a chat room."""
    rows = [
        "| all at once | clients | CPU µs per client | least–most | clients per CPU second | p50 / p99 ms "
        "| generator |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for case, samples in results.items():
        middle = median(samples)
        rows.append(
            f"| {case.name} | {case.size} | {middle.cpu_us:.0f} | {_spread(results, case)} "
            f"| {1e6 / middle.cpu_us:,.0f} | {middle.p50_ms:.0f} / {middle.p99_ms:.0f} "
            f"| {middle.generator_share:.2f} |"
        )
    return "\n".join(rows)


def storm_table(results: Results, footprints: Footprints) -> str:
    """Return the table of clients that all come back."""
    rows = [
        "| server | clients | CPU µs per client | least–most | of it database | clients per CPU second | statements "
        "| KiB per idle connection | p50 / p99 ms | generator |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for case, samples in results.items():
        middle, prints = median(samples), footprints[case]
        statements = f"{statistics.median(one.statements for one in prints):.1f}" if case.database else "–"
        rows.append(
            f"| {case.name} | {case.size} | {middle.cpu_us:,.0f} | {_spread(results, case)} "
            f"| {middle.database_us:,.0f} | {1e6 / middle.cpu_us:,.0f} | {statements} "
            f"| {statistics.median(one.connection_kib for one in prints):.1f} "
            f"| {middle.p50_ms:.1f} / {middle.p99_ms:.1f} | {middle.generator_share:.2f} |"
        )
    return "\n".join(rows)


def storm_verdicts(results: Results, footprints: Footprints) -> list[str]:
    """Return a line per target of coming back."""
    lines = []
    for case in results:
        if case.name != names.IMCORE:
            continue
        statements = statistics.median(one.statements for one in footprints[case])
        kib = statistics.median(one.connection_kib for one in footprints[case])
        lines += [
            _verdict(
                statements <= MOST_STATEMENTS_PER_OPENING,
                f"{case.size} clients: coming back takes {statements:.1f} statements",
                f"at most {MOST_STATEMENTS_PER_OPENING}",
            ),
            _verdict(
                kib <= MOST_KIB_PER_CONNECTION,
                f"{case.size} clients: an idle connection holds {kib:.1f} KiB",
                f"at most {MOST_KIB_PER_CONNECTION}",
            ),
        ]
    return lines


def calls_table(results: Results) -> str:
    """Return the table of requests over HTTP."""
    rows = [
        "| request | in flight | CPU µs per request | least–most | of it database | requests per CPU second "
        "| p50 / p99 ms | generator |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for case, samples in results.items():
        middle = median(samples)
        rows.append(
            f"| {case.name} | {case.size} | {middle.cpu_us:,.0f} | {_spread(results, case)} "
            f"| {middle.database_us:,.0f} | {1e6 / middle.cpu_us:,.0f} | {middle.p50_ms:.1f} / {middle.p99_ms:.1f} "
            f"| {middle.generator_share:.2f} |"
        )
    return "\n".join(rows)


def call_verdicts(calls: Results, pages: Results) -> list[str]:
    """Return a line per target of REST: what a send costs beside a plain view, and what depth costs."""
    lines = []
    ours, view = (_cpu_us(calls, Case(name, "PostgreSQL", CALLERS[-1])) for name in (names.IMCORE, names.VIEW))
    if ours and view:
        lines.append(
            _verdict(
                ours / view <= MOST_TIMES_VIEW,
                f"{CALLERS[-1]} in flight: a send costs {ours / view:.2f} × a plain view's",
                f"at most {MOST_TIMES_VIEW} ×",
            )
        )
    depths = [cost for name in names.DEPTHS if (cost := _cpu_us(pages, Case(name, "PostgreSQL", READERS[-1])))]
    if len(depths) == len(names.DEPTHS):
        times = max(depths) / min(depths)
        lines.append(
            _verdict(
                times <= MOST_TIMES_DEPTH,
                f"the dearest depth costs {times:.2f} × the cheapest",
                f"at most {MOST_TIMES_DEPTH} ×",
            )
        )
    return lines


def broadcast_table(results: Results) -> str:
    """Return the table of messages to everybody."""
    rows = [
        "| clients | known | CPU µs per broadcast | least–most | of it database | p50 / p99 ms until all have it "
        "| generator |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for case, samples in results.items():
        middle = median(samples)
        rows.append(
            f"| {case.name} | {case.size:,} | {middle.cpu_us:,.0f} | {_spread(results, case)} "
            f"| {middle.database_us:,.0f} | {middle.p50_ms:.1f} / {middle.p99_ms:.1f} | {middle.generator_share:.2f} |"
        )
    return "\n".join(rows)


def broadcast_verdicts(results: Results) -> list[str]:
    """Return a line per target of broadcasts: those who are away cost nothing."""
    many, few = KNOWN
    all_online, tenth_online = names.ONLINE
    cost, with_few, with_tenth = (
        _cpu_us(results, Case(name, "PostgreSQL", known))
        for name, known in ((all_online, many), (all_online, few), (tenth_online, many))
    )
    if not (cost and with_few and with_tenth):
        return []
    return [
        _verdict(
            cost / with_few <= MOST_TIMES_FEWER_KNOWN,
            f"{all_online}: with {many:,} known clients a broadcast costs {cost / with_few:.2f} × that with {few:,}",
            f"at most {MOST_TIMES_FEWER_KNOWN} ×",
        ),
        # Between the two are nine tenths of those on line; what is left is the request and the row.
        f"{many:,} known: each client on line costs {(each := (cost - with_tenth) / (0.9 * ONLINE_MOST)):.1f} µs, and "
        f"whatever their number {(cost - each * ONLINE_MOST) / 1000:.1f} ms",
    ]


def query_table(results: Results, plans: Plans) -> str:
    """Return the table of conversation queries."""
    rows = [
        "| query | `where` | sort | rows | p50 / p99 ms | CPU µs per query | least–most | of it database | reads |",
        "|---|---|---|---:|---:|---:|---:|---:|---|",
    ]
    for case, samples in results.items():
        form, (found, scans), middle = FORMS[case.name], plans[case.name], median(samples)
        # A pipe would end the cell, in code too.
        where = f"`{form.where}`".replace("|", "\\|") if form.where else ""
        rows.append(
            f"| {case.name} | {where} | {form.sort} | {found} | {middle.p50_ms:.1f} / {middle.p99_ms:.1f} "
            f"| {middle.cpu_us:,.0f} | {_spread(results, case)} | {middle.database_us:,.0f} | {', '.join(scans)} |"
        )
    return "\n".join(rows)


def query_verdicts(plans: Plans) -> list[str]:
    """Return a line about the queries that must not read a table from end to end."""
    indexed = [name for name, form in FORMS.items() if not form.may_scan]
    scanning = [name for name in indexed if any(scan.startswith("Seq Scan") for scan in plans[name][1])]
    fact = f"{len(scanning)} of {len(indexed)} queries by id, member, `lm` or `updatedAt` scan a table"
    return [_verdict(not scanning, f"{fact}{''.join(f'; {name}' for name in scanning)}", "none")]


def fanout_verdicts(results: Results, *, sizes: Sequence[int] = MEMBERS, who: str = "members") -> list[str]:
    """Return a line per target of fan-out."""
    lines = []
    for members in sizes:
        ours, bare, tutorial = (
            _cpu_us(results, Case(name, database, members))
            for name, database in ((names.TRANSIENT, "SQLite"), (names.BARE, ""), (names.TUTORIAL, ""))
        )
        if ours and bare:
            lines.append(
                _verdict(
                    ours / bare <= MOST_TIMES_BARE,
                    f"{members} {who}: a delivery costs {ours / bare:.2f} × the bare ASGI app's",
                    f"at most {MOST_TIMES_BARE} ×",
                )
            )
        if ours and tutorial:
            lines.append(
                _verdict(
                    tutorial / ours >= LEAST_TIMES_LESS_THAN_TUTORIAL,
                    f"{members} members: a delivery costs {tutorial / ours:.1f} × less than the tutorial chat's",
                    f"at least {LEAST_TIMES_LESS_THAN_TUTORIAL:.0f} ×",
                )
            )
    return lines


def one_to_one_verdicts(results: Results) -> list[str]:
    """Return a line per target of stored messages; they are set for PostgreSQL and the most in flight."""
    in_flight = IN_FLIGHT[-1]
    ours, orm = (_cpu_us(results, Case(name, "PostgreSQL", in_flight)) for name in (names.IMCORE, names.ORM))
    lines = []
    if ours:
        lines.append(
            _verdict(
                ours <= MOST_US_PER_STORED_MESSAGE,
                f"PostgreSQL, {in_flight} in flight: a message costs {ours:.0f} µs",
                f"at most {MOST_US_PER_STORED_MESSAGE:.0f} µs",
            )
        )
    if ours and orm:
        lines.append(
            _verdict(
                orm / ours >= LEAST_TIMES_LESS_THAN_ORM,
                f"PostgreSQL, {in_flight} in flight: a message costs {orm / ours:.1f} × less than the ORM way",
                f"at least {LEAST_TIMES_LESS_THAN_ORM:.0f} ×",
            )
        )
    return lines


def _machine(results: Results) -> str:
    """Return a paragraph about where, with what and how often this was measured."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("uvicorn", "uvloop", "channels", "daphne", "Django"))
    tools = [
        f"{name} {number}"
        for name, command in (
            ("PostgreSQL", ["psql", "--version"]),
            ("Mosquitto", ["mosquitto", "-h"]),
            ("Node", ["node", "--version"]),
        )
        if (number := _number_in(command))
    ]
    lock = json.loads((names.ROOT / "bench" / "package-lock.json").read_text())
    tools.append(f"socket.io {lock['packages']['node_modules/socket.io']['version']}")
    samples = [sample for of_case in results.values() for sample in of_case]
    rounds = max(map(len, results.values()))
    others = statistics.median(sample.others_share for sample in samples)
    yardstick = statistics.median(sample.yardstick_ms for sample in samples)
    return (
        f"Medians of {rounds} interleaved rounds on {len(CORES)} {platform.machine()} cores, "
        f"{_memory_gib():.0f} GiB, {platform.system()} {platform.release().split('-')[0]}. "
        f"CPython {platform.python_version()}, {packages}, {', '.join(tools)}. "
        f"Meanwhile unrelated processes used {others:.2f} of a core (median; at most "
        f"{max(sample.others_share for sample in samples):.2f}), "
        f"and an empty loop of a million turns in Python took {yardstick:.0f} ms of CPU."
    )


def write(section: str, text: str) -> None:
    """Put a text between a section's markers in docs/benchmarks.md."""
    begin, end = f"<!-- {section}: begin -->", f"<!-- {section}: end -->"
    before = DOCUMENT.read_text()
    after = re.sub(
        f"{re.escape(begin)}.*?{re.escape(end)}", lambda _: f"{begin}\n\n{text}\n\n{end}", before, flags=re.DOTALL
    )
    DOCUMENT.write_text(after)


def section(results: Results, table: str, verdicts: Sequence[str]) -> str:
    """Return all that is said of one half of the benchmark."""
    return "\n\n".join(filter(None, [_machine(results), table, "\n".join(f"- {line}" for line in verdicts)]))


def _verdict(is_met: bool, fact: str, target: str) -> str:
    return f"**{'met' if is_met else 'MISSED'}**: {fact} (target: {target})"


def _cpu_us(results: Results, case: Case) -> float | None:
    samples = results.get(case)
    return median(samples).cpu_us if samples else None


def _spread(results: Results, case: Case) -> str:
    values = [sample.cpu_us for sample in results[case]]
    digits = 0 if max(values) >= 100 else 1
    return f"{min(values):.{digits}f}–{max(values):.{digits}f}"


def _number_in(command: Sequence[str]) -> str:
    program = names.program(command[0])
    if program is None:
        return ""
    output = subprocess.run([program, *command[1:]], capture_output=True, text=True, check=False).stdout
    found = re.search(r"\d+(\.\d+)+", output)
    return found.group() if found else ""


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
