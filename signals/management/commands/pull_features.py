"""manage.py pull_features: measure the tokens of signals on their chains, once or again and again."""

import argparse
import os
import re
import sys
from datetime import datetime
from typing import Any
from wsgiref.simple_server import WSGIServer

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from signals.chain.metrics import collect_chains
from signals.chain.passing import PassReport, PullOptions, run_pass
from signals.chain.printing import pass_as_json, pass_as_text, states_as_json, states_as_text
from signals.chain.settings import PullSettings
from signals.chain.states import StateOfChain, read_states
from signals.management.arguments import (
    ExitCode,
    add_monitoring_arguments,
    errors_as_exit_codes,
    point_in_time,
    require_watch,
    say,
    whole_number,
)
from signals.management.pull_progress import PullProgress
from signals.management.serving import serving
from signals.verification.schema import require_migrations
from signals.verification.tally import Stop
from signals.verification.tokens import EVM_ADDRESS, Token, resolve
from signals.verification.upkeep.metrics import serve_collector, write_collector
from signals.verification.watch import Interrupted, repeat, stopped_by_signals

_URL = re.compile(r"\S*https?:/\S*", re.IGNORECASE)


def first_block(text: str) -> int | datetime:
    """Return the number of a block, or a time, for argparse."""
    if re.fullmatch("[0-9]{1,18}", text):
        return int(text)
    return point_in_time(text)


def evm_token(text: str) -> Token:
    """Return the token `chain:0x…`, or of an address alone that on ethereum, for argparse."""
    token = resolve(None, text)
    if token is None and EVM_ADDRESS.fullmatch(text):
        token = resolve("", f"ethereum:{text}")
    if token is None or not EVM_ADDRESS.fullmatch(token.address):
        raise argparse.ArgumentTypeError(f"{text[:100]!r} is no token (write it as chain:0x…)")
    return token


class Command(BaseCommand):
    """Exit with 0 clean, 1 findings, 2 usage, 3 configuration, 4 no database, 6 stuck."""

    help = "Read the transfers of tokens from nodes of their chains, and measure their features."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Return a parser whose complaints show no address of a node."""
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        complain = parser.error

        def error(message: str) -> Any:
            complain(_URL.sub("(an address, which is not shown)", message))

        parser.error = error  # type: ignore[method-assign] # of this parser alone
        return parser

    def add_arguments(self, parser: CommandParser) -> None:
        number = whole_number
        parser.add_argument(
            "--source", choices=("rpc",), default="rpc", help="where logs come from (rpc)"
        )
        parser.add_argument(
            "--rpc-url",
            action="append",
            default=[],
            metavar="[CHAIN=]URL",
            help="a node (ONCHAIN_RPC_URL is better: other users of the machine see command lines); "
            "several of one chain are tried in their order",
        )
        parser.add_argument(
            "--from",
            type=first_block,
            dest="first",
            metavar="BLOCK|TIME",
            help="begin the history of tokens that are new there, and not at block 0",
        )
        parser.add_argument(
            "--token",
            type=evm_token,
            nargs="+",
            default=[],
            metavar="CHAIN:ADDRESS",
            help="only these, not those of signals",
        )
        parser.add_argument("--json", action="store_true", help="print JSON, one object a pass")
        add_monitoring_arguments(parser, "pass")
        ways = parser.add_mutually_exclusive_group()
        ways.add_argument("--once", action="store_true", help="do one pass (the default)")
        ways.add_argument(
            "--watch", type=number(86400), metavar="SECONDS", help="do a pass every so often"
        )
        ways.add_argument("--check", action="store_true", help="only say how far the chains are")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        require_watch(options, "pass")
        with errors_as_exit_codes():
            require_migrations(connection)
            if options["check"]:
                self._check(options)
            else:
                self._pull(options)

    def _pull(self, options: dict[str, Any]) -> None:
        stop, every = Stop(), options["watch"]
        chosen = PullOptions(
            urls=tuple(options["rpc_url"]),
            first=options["first"],
            tokens=tuple(options["token"]),
            seconds=every,
            gap=every / 2 if every else 0.0,
        )
        lately = PullSettings.read(os.environ, chosen.urls).lately
        show = pass_as_json if options["json"] else pass_as_text
        quiet = options["verbosity"] == 0 or options["json"] or not sys.stderr.isatty()
        progress = PullProgress(quiet=quiet)

        def serve(host: str, port: int) -> WSGIServer:
            return serve_collector(host, port, collect_chains(lately, close=True))

        def run() -> PassReport:
            report = run_pass(chosen, stop=stop, on_range=progress.advance)
            progress.end()
            if options["prometheus"]:
                write_collector(options["prometheus"], collect_chains(lately, close=False))
            say(self.stdout, show(report))
            return report

        try:
            with stopped_by_signals(stop), serving(options["metrics"], serve), progress:
                if every:
                    repeat(run, every, stop)
                    return
                report = run()
        except Interrupted as error:
            raise CommandError(str(error), returncode=ExitCode.KILLED + error.number) from error
        if report.findings:
            raise CommandError("\n".join(report.findings), returncode=ExitCode.FINDINGS)

    def _check(self, options: dict[str, Any]) -> None:
        states = read_states(connection, PullSettings.read(os.environ).lately)
        say(self.stdout, states_as_json(states) if options["json"] else states_as_text(states))
        age, limit = options["max_age"], "no pass gave a sign of life for"
        silent = [each.chain for each in states if each.sign_age.total_seconds() > age]
        if len(silent) == len(states):
            raise CommandError(
                f"{limit} {age} s (start one: manage.py pull_features --watch 60)",
                returncode=ExitCode.STUCK,
            )
        findings = [f"{chain}: {limit} {age} s" for chain in silent]
        findings += [found for each in states if (found := _finding(each))]
        if findings:
            raise CommandError("\n".join(findings), returncode=ExitCode.FINDINGS)


def _finding(state: StateOfChain) -> str:
    """Return what a person should look at, or an empty text."""
    if state.error:
        return f"{state.chain}: {state.error}"
    if state.failing:
        return f"{state.chain}: {state.failing} tokens fail (see their error in chain_cursors)"
    return ""
