"""The export of signals as CSV or as lines of JSON, streamed in the order of the newest first.

The first rows are read like those of a page, so that a filter that takes too long ends in words. The others
come through a cursor of the server, in a transaction that ends with the download, or when the browser goes.
"""

import csv
import json
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import islice
from typing import Any, Final

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import connection, transaction
from django.db.models import QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.utils import timezone

from signals.admin.actions.cells import as_cell, as_json
from signals.admin.far_times import reading_far_times
from signals.models import Signal

CHUNK: Final = 2_000
"""Rows that are read, and sent, at once."""
_LIMIT: Final = "SET LOCAL statement_timeout = '60s'"
"""How long the database may look for the next rows; the whole export may take longer."""

_OF_SIGNAL: Final = {f.name: f.name for f in Signal._meta.fields if f.name != "event"}
_OF_EVENT: Final = {
    "event_key": "event_id",
    "event_type": "event__type",
    "symbol": "event__symbol",
    "token_ca": "event__token_ca",
}
_OF_VERIFICATION: Final = {
    f"verification_{name}": f"verification__{name}"
    for name in (
        *("status", "outcome", "decision", "note", "checks", "attempts", "next_check_at"),
        *("updated_at", "error"),
    )
}


def columns_for(user: Any) -> Mapping[str, str]:
    """Return the columns by heading, without those of rows that the person may not view."""
    columns = dict(_OF_SIGNAL)
    if user.has_perm("signals.view_event"):
        columns |= _OF_EVENT
    if user.has_perm("signals.view_signalverification"):
        columns |= _OF_VERIFICATION
    return columns


class _Line:
    """What csv.writer() writes to; it returns what was written."""

    def write(self, text: str) -> str:
        return text


def _csv(headings: Sequence[str], chunks: Iterator[Sequence[Any]]) -> Iterator[str]:
    """Yield CSV that begins with a byte order mark, by which spreadsheets know UTF-8."""
    line = csv.writer(_Line()).writerow
    yield f"\ufeff{line(headings)}"
    for rows in chunks:
        yield "".join([str(line([as_cell(value) for value in row])) for row in rows])


def _json_lines(headings: Sequence[str], chunks: Iterator[Sequence[Any]]) -> Iterator[str]:
    """Yield one JSON object a line."""
    for rows in chunks:
        objects = [dict(zip(headings, map(as_json, row), strict=True)) for row in rows]
        yield "".join([f"{json.dumps(each, ensure_ascii=False)}\n" for each in objects])


FORMATS: Final[Mapping[str, tuple[str, str, Callable[..., Iterator[str]]]]] = {
    "csv": ("CSV", "text/csv; charset=utf-8", _csv),
    "jsonl": ("JSON lines", "application/x-ndjson", _json_lines),
}
"""Name, content type and writer of each format, by the ending of the file."""


def export(
    request: HttpRequest, rows: QuerySet[Signal], selection: str, ending: str
) -> StreamingHttpResponse:
    """Return the download of the rows; Django's log keeps who took how many, and how they were chosen."""
    name, content_type, write = FORMATS[ending]
    columns = columns_for(request.user)
    found = rows.order_by("-pk").values_list(*columns.values())
    first = list(found[:CHUNK])
    entry = LogEntry.objects.create(
        user_id=request.user.pk,  # type: ignore[misc] # of a person who is logged in
        content_type=ContentType.objects.get_for_model(Signal),
        object_repr="signals",
        action_flag=CHANGE,
        change_message=f"Began an export as {name}: {selection}",
    )

    def stream() -> Iterator[bytes]:
        read: Counter[str] = Counter()
        end = "Broke off an export after"
        try:
            with reading_far_times(), closing(_chunks(found, first, read)) as chunks:
                for text in write(list(columns), chunks):
                    yield text.encode()
            end = "Exported"
        finally:
            text = f"{end} {read['rows']:,} signals as {name}: {selection}"
            LogEntry.objects.filter(pk=entry.pk).update(change_message=text)

    response = StreamingHttpResponse(stream(), content_type=content_type)
    file = f"signals-{timezone.now():%Y%m%d-%H%M%S}.{ending}"
    response["Content-Disposition"] = f'attachment; filename="{file}"'
    response["Cache-Control"] = "no-store"
    return response


def _chunks(
    found: QuerySet[Any, Any], first: list[Any], read: Counter[str]
) -> Generator[Sequence[Any]]:
    """Yield the first rows, and then those behind them; count in `read` those that were taken."""
    yield first
    read["rows"] += len(first)
    if len(first) < CHUNK:
        return
    rest = found.filter(pk__lt=first[-1][0])
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(_LIMIT)
        rows: Generator[Any] = rest.iterator(chunk_size=CHUNK)  # type: ignore[assignment] # it is one
        with closing(rows):
            while chunk := list(islice(rows, CHUNK)):
                yield chunk
                read["rows"] += len(chunk)
