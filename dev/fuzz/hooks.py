"""What OpenAPI has no word for: what belongs together in a request, and the form of a batch.

Requests that are meant to be right are made so here; those that are meant to be wrong are not
touched."""

import json
from urllib.parse import quote, unquote_to_bytes

import schemathesis

# Every partition has a record at its beginning: the claim of its writer.
POSITION = "0@0"
KEY_BYTES_MAX = 200


@schemathesis.serializer("application/x-ndjson")
def ndjson(context, value):
    """One envelope is a batch of one line."""
    return json.dumps(value).encode() + b"\n"


@schemathesis.hook
def before_call(context, case, **kwargs):
    if not case.meta or not case.meta.generation.mode.is_positive:
        return
    # A position is one that the log has, and it counts bytes where a schema counts characters.
    headers = case.headers or {}
    if "Retell-Position" in headers:
        headers["Retell-Position"] = POSITION
    # They exclude each other; of a query the latter is another one.
    if "If-Match" in headers and "If-None-Match" in headers:
        del headers["If-None-Match"]
    for name, value in (case.path_parameters or {}).items():
        case.path_parameters[name] = shorter(value)
    case.body = whole(case.body)
    if case.query:
        case.query = sensible(case, dict(case.query))


def shorter(value):
    """At most so many bytes behind the percent-encoding."""
    raw = unquote_to_bytes(str(value))
    if len(raw) <= KEY_BYTES_MAX:
        return value
    return quote(raw[:KEY_BYTES_MAX].decode(errors="ignore"), safe="")


def whole(value):
    """To a schema 5.0 is an integer; to the service only what is written as one is."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [whole(item) for item in value]
    if isinstance(value, dict):
        return {name: whole(item) for name, item in value.items()}
    return value


def sensible(case, query):
    definition = case.operation.definition.raw
    if "x-indexes" in definition:
        return served(query, definition["x-indexes"])
    # A version and a time exclude each other.
    if "version" in query:
        query.pop("at", None)
    # An offset is one of a partition.
    if "from" in query and case.operation.path == "/events":
        query.setdefault("partition", 0)
    return query


def served(query, indexes):
    """What one index serves; a cursor is of the page before, which there is none of."""
    query.pop("cursor", None)
    kept = {name: query[name] for name in ("limit", "sort") if name in query}
    sort = kept.get("sort", "").lstrip("-")
    for first, *rest in indexes:
        if first in query and sort in ("", "key", first, *rest[:1]):
            kept[first] = query[first]
            if sort == "key":
                kept.pop("sort")
            return kept
    served_orders = {"", "key"} | {index[0] for index in indexes}
    if sort not in served_orders:
        kept.pop("sort")
    return kept
