"""From the tree to SQL over the conversation `c`.

Columns and members become plain SQL on both engines, so that their indexes serve; attributes are up to the
engine (`where_sqlite`, `where_postgresql`). Every expression is TRUE or FALSE, never NULL, so that NOT means
what it says.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Final

from conversations.models import HOUR_MS
from conversations.policy import Kind
from conversations.storage import where_postgresql, where_sqlite
from conversations.storage.where_matching import canonical, matcher
from conversations.storage.where_sql import FALSE, TRUE, Dialect, Sql, every, negated, placeholders, some
from conversations.storage.where_tree import (
    INSTANTS,
    AllOf,
    Attribute,
    Column,
    Compare,
    Condition,
    Equals,
    Every,
    Exists,
    Field,
    In,
    Json,
    Leaf,
    Members,
    Near,
    Not,
    Operator,
    Regex,
    Size,
    Some,
    Test,
    Where,
)

_DIALECTS: Final[Mapping[str, Dialect]] = {"sqlite": where_sqlite, "postgresql": where_postgresql}
_COLUMNS: Final = {
    Column.OBJECT_ID: "c.object_id",
    Column.CREATOR: "c.creator",
    Column.UNIQUE_ID: "c.unique_id",
    Column.LAST_MESSAGE: "c.last_message_ms",
    Column.CREATED: "c.created_ms",
    Column.UPDATED: "c.updated_ms",
}
# A coarser column that an index can bear beside one that changes too often for that, and how many make one of it.
_COARSE: Final = {Column.LAST_MESSAGE: ("c.last_message_hour", HOUR_MS)}
# What a column that is never NULL has where the key is not there: what the application created has no creator.
_NOTHING: Final = {Column.CREATOR: ""}
_FLAGS: Final = {
    Column.IS_CHAT_ROOM: Sql("c.kind = %s", (int(Kind.CHAT_ROOM),)),
    Column.IS_SYSTEM: Sql("c.kind = %s", (int(Kind.SYSTEM),)),
    Column.IS_TEMPORARY: Sql("c.kind = %s", (int(Kind.TEMPORARY),)),
    Column.IS_UNIQUE: Sql("c.is_unique"),
}
_BIGINT_MIN: Final = -(2**63)
_BIGINT_MAX: Final = 2**63 - 1


def compile_where(where: Where, *, vendor: str, application_id: int | None = None) -> tuple[str, list[object]]:
    """Return `where` as a boolean SQL expression over the alias `c` of conversations, and its parameters.

    `vendor` is the connection's: "sqlite" or "postgresql". With `application_id`, to which the query itself
    must be bound too, conditions on members find them by index instead of row by row.
    """
    compiler = partial(_condition, dialect=_DIALECTS[vendor], rows=_member_rows(application_id))
    sql = every(compiler(condition) for condition in where.conditions)
    return sql.text, list(sql.params)


def distance_order(where: Where, *, vendor: str) -> tuple[str, list[object]] | None:
    """Return what a query with `$nearSphere` and no sort of its own is ordered by, ascending; else None."""
    for leaf in where.required_leaves:
        if isinstance(leaf.field, Attribute) and isinstance(leaf.test, Near):
            distance = _DIALECTS[vendor].distance(leaf.field.path, leaf.test)
            return f"({distance.text})", list(distance.params)
    return None


def _member_rows(application_id: int | None) -> Sql:
    rows = "FROM conversations_member m WHERE m.application_id = "
    return Sql(f"{rows}c.application_id") if application_id is None else Sql(f"{rows}%s", (application_id,))


def _condition(condition: Condition, *, dialect: Dialect, rows: Sql) -> Sql:
    compiler = partial(_condition, dialect=dialect, rows=rows)
    match condition:
        case Every(parts):
            return every(map(compiler, parts))
        case Some(parts):
            return some(map(compiler, parts))
        case Not(part):
            return negated(compiler(part))
        case Leaf(field, test):
            return _leaf(field, test, dialect, rows)


def _leaf(field: Field, test: Test, dialect: Dialect, rows: Sql) -> Sql:
    match field:
        case Attribute(path):
            return dialect.attribute(path, test)
        case Members():
            return _members(field, test, dialect, rows)
        case Column():
            return _column(field, test, dialect)


def _column(column: Column, test: Test, dialect: Dialect) -> Sql:
    if column in _FLAGS:
        return _flag(_FLAGS[column], test)
    if column is Column.KIND:
        passes = matcher(test)
        return _one_of("c.kind", [int(kind) for kind in Kind if passes(int(kind))])
    test = _on_scalar(test)
    if isinstance(test, Exists):
        return _exists(column)
    if isinstance(test, Equals | In):
        values = (test.value,) if isinstance(test, Equals) else test.values
        return _equals(column, values)
    if column in INSTANTS:
        return _instant(column, test)
    return every([_exists(column), _text(_COLUMNS[column], test, dialect)])


def _flag(flag: Sql, test: Test) -> Sql:
    passes = matcher(test)
    match passes(True), passes(False):
        case True, True:
            return TRUE
        case True, False:
            return flag
        case False, True:
            return negated(flag)
    return FALSE


def _on_scalar(test: Test) -> Test:
    """Return what `test` means for a value that is no array."""
    if isinstance(test, AllOf):
        return Equals(test.values[0]) if len({canonical(value) for value in test.values}) == 1 else In(())
    return test


def _exists(column: Column) -> Sql:
    if column in _COARSE:
        # It is there whenever the other is.
        return Sql(f"{_COARSE[column][0]} IS NOT NULL")
    if column in _NOTHING:
        return Sql(f"{_COLUMNS[column]} <> %s", (_NOTHING[column],))
    return Sql(f"{_COLUMNS[column]} IS NOT NULL")


def _equals(column: Column, values: tuple[Json, ...]) -> Sql:
    if column in INSTANTS:
        numbers = (canonical(value) for value in values)
        instants = [n for n in numbers if isinstance(n, int) and _BIGINT_MIN <= n <= _BIGINT_MAX]
        found = _one_of(_COLUMNS[column], instants)
        if column in _COARSE:
            coarse, size = _COARSE[column]
            found = every([_one_of(coarse, [instant // size for instant in instants]), found])
    else:
        nothing = _NOTHING.get(column)
        found = _one_of(_COLUMNS[column], [one for one in values if isinstance(one, str) and one != nothing])
    return some([found, negated(_exists(column))]) if None in values else found


def _one_of(column: str, values: Sequence[object]) -> Sql:
    if not values:
        return FALSE
    return Sql(f"{column} IS NOT NULL AND {column} IN ({placeholders(values)})", tuple(values))


def _text(column: str, test: Test, dialect: Dialect) -> Sql:
    match test:
        case Compare(operator, str() as operand):
            compared = Sql(f"{column} {operator} %s{dialect.CODE_POINT_ORDER}", (operand,))
        case Regex():
            compared = dialect.text(column, test)
        case _:
            return FALSE
    return Sql(f"{column} IS NOT NULL AND {compared.text}", compared.params)


def _instant(column: Column, test: Test) -> Sql:
    match test:
        case Compare(operator, int() | float() as operand):
            bound = _whole(operator, operand)
            name = _COLUMNS[column]
            exact = Sql(f"{name} IS NOT NULL AND {name} {operator} %s", (bound,))
            if column not in _COARSE:
                return exact
            coarse, size = _COARSE[column]
            # What is before an instant may be within the same hour, so the coarse bound is never a strict one.
            wide = Sql(f"{coarse} IS NOT NULL AND {coarse} {operator[0]}= %s", (bound // size,))
            return every([wide, exact])
    return FALSE


def _whole(operator: Operator, operand: float) -> int:
    """Return the integer to which instants, far inside 64 bits, compare as they do to `operand`."""
    rounded = math.floor(operand) if operator in ("<=", ">") else math.ceil(operand)
    return max(_BIGINT_MIN, min(rounded, _BIGINT_MAX))


def _members(members: Members, test: Test, dialect: Dialect, rows: Sql) -> Sql:
    muted = " AND m.is_muted" if members is Members.MUTED else ""
    rows = Sql(rows.text + muted, rows.params)
    # The rows of the conversation at hand, for what no index of client ids answers.
    own = f"FROM conversations_member m WHERE m.conversation_id = c.id{muted}"
    size = "c.member_count" if members is Members.ALL else f"(SELECT COUNT(*) {own})"
    match test:
        case Equals(str() as client_id):
            return _with_members([client_id], rows)
        case In(values):
            return _with_members(_texts(values), rows)
        case AllOf(values):
            return _with_members(_texts(values), rows, all_of_them=True)
        case Equals(list() as client_ids):
            return _exactly(client_ids, rows, size)
        case Size(length):
            return Sql(f"{size} = %s", (length,))
        case Exists():
            return TRUE
        case Compare(_, str()) | Regex():
            compared = _text("m.client_id", test, dialect)
            return Sql(f"EXISTS (SELECT 1 {own} AND {compared.text})", compared.params)
    return FALSE


def _texts(values: Iterable[Json]) -> list[str]:
    return list(dict.fromkeys(value for value in values if isinstance(value, str)))


def _with_members(client_ids: list[str], rows: Sql, *, all_of_them: bool = False) -> Sql:
    listed = f"{rows.text} AND m.client_id IN ({placeholders(client_ids)})"
    params = (*rows.params, *client_ids)
    if not all_of_them or len(client_ids) == 1:
        return Sql(f"c.id IN (SELECT m.conversation_id {listed})", params)
    # A client is a member once, so as many rows as ids are all of them.
    grouped = "GROUP BY m.conversation_id HAVING COUNT(*) = %s"
    return Sql(f"c.id IN (SELECT m.conversation_id {listed} {grouped})", (*params, len(client_ids)))


def _exactly(client_ids: list[Json], rows: Sql, size: str) -> Sql:
    """Return whether the members are these and no others; the order of an array of members means nothing."""
    wanted = _texts(client_ids)
    if len(wanted) < len(client_ids):
        return FALSE
    as_many = Sql(f"{size} = %s", (len(wanted),))
    return every([_with_members(wanted, rows, all_of_them=True), as_many]) if wanted else as_many
