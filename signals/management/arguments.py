"""What the commands of the application share: exit codes, types of arguments, and how results are printed."""

import argparse
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path
from typing import Any, Final

from django.core.management.base import CommandError, CommandParser, OutputWrapper
from django.db import DatabaseError, InterfaceError
from django.utils.dateparse import parse_datetime

from signals.verification.errors import ConfigurationError
from signals.verification.tokens import CHAIN_NAME

MAX_PORT: Final = 65535


class ExitCode(IntEnum):
    """The exit codes of the commands; 0 means that there is nothing to report."""

    FINDINGS = 1
    USAGE = 2
    CONFIGURATION = 3
    UNAVAILABLE = 4
    STOPPED = 5
    STUCK = 6
    KILLED = 128
    """And the number of the signal that ended the command, as in a shell."""


def whole_number(most: int, *, or_all: bool = False) -> Callable[[str], int | None]:
    """Return a type for argparse: a whole number from 1 to `most`, or `all` as None."""

    def parse(text: str) -> int | None:
        if or_all and text == "all":
            return None
        if not (text.isascii() and text.isdigit() and 1 <= int(text[:19]) <= most):
            raise argparse.ArgumentTypeError(
                f"{text[:100]!r} is not a whole number from 1 to {most}{' or all' * or_all}"
            )
        return int(text)

    return parse


def point_in_time(text: str) -> datetime:
    """Return a time in ISO 8601, which is UTC unless it says otherwise, for argparse."""
    try:
        time = parse_datetime(text) or parse_datetime(f"{text} 00:00")
    except ValueError:
        time = None
    if time is None:
        raise argparse.ArgumentTypeError(
            f"{text[:100]!r} is not a time (write it as 2026-03-01 or 2026-03-01T12:00Z)"
        )
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def chain_name(text: str) -> str:
    """Return the name of a chain, for argparse."""
    if not CHAIN_NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text[:100]!r} is not the name of a chain")
    return text


def address(text: str) -> tuple[str, int]:
    """Return host and port of `[HOST:]PORT`, for argparse; the host is the loopback interface by default."""
    host, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdigit() and 1 <= int(port[:9]) <= MAX_PORT):
        raise argparse.ArgumentTypeError(
            f"{text[:100]!r} is not an address (write it as 9100 or 0.0.0.0:9100)"
        )
    return host or "127.0.0.1", int(port)


def add_monitoring_arguments(parser: CommandParser, unit: str) -> None:
    """Add the options by which a command that works unit by unit is watched."""
    parser.add_argument(
        "--prometheus", type=Path, metavar="FILE", help=f"write metrics to FILE after each {unit}"
    )
    parser.add_argument(
        "--metrics",
        type=address,
        metavar="[HOST:]PORT",
        help="for --watch: serve metrics there, on the loopback interface without HOST",
    )
    parser.add_argument(
        "--max-age",
        type=whole_number(10**6),
        default=300,
        metavar="SECONDS",
        help="for --check: the age of a sign of life after which the job is stuck (300)",
    )


def require_watch(options: Mapping[str, Any], unit: str) -> None:
    """Raise CommandError if metrics are to be served without --watch."""
    if options["metrics"] and not options["watch"]:
        raise CommandError(
            f"--metrics is for --watch (for one {unit}: --prometheus FILE)",
            returncode=ExitCode.USAGE,
        )


@contextmanager
def errors_as_exit_codes() -> Iterator[None]:
    """Raise CommandError with the fitting exit code for a wrong configuration or a lost database."""
    try:
        yield
    except ConfigurationError as error:
        raise CommandError(str(error), returncode=ExitCode.CONFIGURATION) from error
    except (DatabaseError, InterfaceError) as error:
        message = f"the database does not answer as it should: {error}".strip()
        raise CommandError(message, returncode=ExitCode.UNAVAILABLE) from error


def say(stdout: OutputWrapper, text: str) -> None:
    """Print the text at once; raise CommandError if nobody can take it."""
    try:
        stdout.write(text)
        stdout.flush()
    except OSError as error:
        # Python would try once more when it ends, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        raise CommandError(
            f"the output cannot be written: {error.strerror or error}",
            returncode=ExitCode.UNAVAILABLE,
        ) from error
