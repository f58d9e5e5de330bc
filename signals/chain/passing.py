"""One pass over the chains: reading what is new of each token, and measuring it."""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from time import monotonic
from uuid import UUID, uuid4

from django.db import DEFAULT_DB_ALIAS, DatabaseError, InterfaceError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from signals.chain import claims
from signals.chain.accounts import learn_accounts
from signals.chain.answers import Block
from signals.chain.block_times import BlockTimes
from signals.chain.errors import ChainMoved, LeaseLost, NodeError, TokenRefused
from signals.chain.measuring import measure
from signals.chain.nodes import FIRST_PAUSE, Nodes, require_web3
from signals.chain.reading import Span, read_ranges
from signals.chain.reorgs import undo_reorgs
from signals.chain.settings import ChainSettings, PullSettings
from signals.chain.states import beat, end_pass, open_state, see
from signals.chain.storing import Cursor, Lease, keep_from, store_range
from signals.chain.windows import Measured, find_windows
from signals.verification.errors import ConfigurationError
from signals.verification.tally import Stop
from signals.verification.tokens import Token

logger = logging.getLogger("signals.chain")

MOVES = 5
"""How often a pass begins anew on a chain that is reorganised while it is read."""

OnRange = Callable[["Progress"], None]
"""Called after each range that was stored."""


@dataclass(frozen=True, slots=True)
class PullOptions:
    """What a pass is to do.

    * `urls`: nodes, in place of those in the environment.
    * `first`: where the history of a token that is new begins: a block, the first block after a time, or
      None for the whole history.
    * `tokens`: only these tokens, whether a signal asks for them or not; empty for those that signals want.
    * `seconds`: how long to catch up with tokens that are far behind before the pass ends; None: to the end.
    * `gap`: a token that was pulled within so many seconds before the pass is left out.
    * `first_pause`: seconds before a question is put again.
    """

    urls: tuple[str, ...] = ()
    first: int | datetime | None = None
    tokens: tuple[Token, ...] = ()
    seconds: float | None = None
    gap: float = 0.0
    first_pause: float = FIRST_PAUSE


@dataclass(slots=True)
class Progress:
    """How far a pass over one chain is; blocks are counted from the token that was furthest behind."""

    chain: str
    tokens: int = 0
    pulled: int = 0
    failed: int = 0
    blocks: int = 0
    blocks_left: int = 0
    logs: int = 0
    begun: float = field(default_factory=monotonic)

    @property
    def seconds(self) -> float:
        """How long the pass has taken so far."""
        return monotonic() - self.begun


@dataclass(frozen=True, slots=True)
class ChainReport:
    """What a pass did on one chain: tokens read to the end and measured, failed, and left for the next pass.

    `error` is why it ended early; `head` and `confirmed` are None if the nodes gave no block.
    """

    chain: str
    pulled: int
    failed: int
    left: int
    blocks: int
    logs: int
    seconds: float
    head: int | None
    confirmed: int | None
    error: str


@dataclass(frozen=True, slots=True)
class PassReport:
    """What a pass did, by chain."""

    run: UUID
    chains: tuple[ChainReport, ...]

    @property
    def findings(self) -> list[str]:
        """What a person should look at."""
        errors = [f"{each.chain}: {each.error}" for each in self.chains if each.error]
        failed = [
            f"{each.chain}: {each.failed} tokens failed (see their error in chain_cursors)"
            for each in self.chains
            if each.failed
        ]
        return errors + failed


def run_pass(
    options: PullOptions,
    *,
    stop: Stop | None = None,
    on_range: OnRange | None = None,
) -> PassReport:
    """Do one pass with these options, which `stop` may end early, and return its report.

    A chain whose nodes fail is left for the next pass, with the error in its report and its row of
    chain_states. Raise ConfigurationError if a setting is wrong; nothing is written then.
    """
    require_web3()
    settings = PullSettings.read(os.environ, options.urls)
    if not settings.chains:
        raise ConfigurationError(
            "no chain has a node (set ONCHAIN_RPC_URL to chain=https://…, or give --rpc-url)"
        )
    connection = connections[DEFAULT_DB_ALIAS]
    # A process that runs for days may hold a connection that the server has closed.
    if connection.connection and not connection.in_atomic_block and not connection.is_usable():
        connection.close()
    stop = stop or Stop()
    lease = Lease(uuid4(), settings.lease)
    wanted = _wanted(connection, settings, options)
    reports = []
    with stop.cancels(connection):
        for chain in settings.chains:
            if stop.soon.is_set():
                break
            work = _ChainPass(connection, settings, chain, options, stop, lease, on_range)
            reports.append(work.run(wanted[chain.chain]))
    return PassReport(lease.run, tuple(reports))


def _wanted(
    connection: BaseDatabaseWrapper, settings: PullSettings, options: PullOptions
) -> Mapping[str, set[str]]:
    if not options.tokens:
        return claims.read_wanted(connection, settings)
    return {
        each.chain: {token.address for token in options.tokens if token.chain == each.chain}
        for each in settings.chains
    }


class _ChainPass:
    """The work of a pass on one chain."""

    def __init__(  # noqa: PLR0913, PLR0917 - what all steps of it share
        self,
        connection: BaseDatabaseWrapper,
        settings: PullSettings,
        chain: ChainSettings,
        options: PullOptions,
        stop: Stop,
        lease: Lease,
        on_range: OnRange | None,
    ) -> None:
        self._connection, self._settings, self._chain = connection, settings, chain
        self._options, self._stop, self._lease, self._on_range = options, stop, lease, on_range
        self._nodes = Nodes(chain, stop, options.first_pause)
        self._span = Span()
        self._progress = Progress(chain.chain)
        self._head: Block | None = None
        self._target: Block | None = None
        self._group: list[Cursor] = []

    def run(self, addresses: set[str]) -> ChainReport:
        """Read and measure the tokens; return what was done, also if the nodes fail."""
        error, left = "", 0
        try:
            left = self._pull_again(addresses)
        except NodeError as caught:
            if not self._stop.soon.is_set():
                error = str(caught)
                logger.warning("%s: %s", self._chain.chain, error)
        except DatabaseError:
            if not self._stop.now.is_set():  # else the statement was cancelled
                raise
        finally:
            self._nodes.close()
        is_complete = not (error or left or self._stop.soon.is_set())
        if not self._stop.now.is_set():
            end_pass(self._connection, self._nodes, error, is_complete=is_complete)
        progress = self._progress
        report = ChainReport(
            chain=self._chain.chain,
            pulled=progress.pulled,
            failed=progress.failed,
            left=left,
            blocks=progress.blocks,
            logs=progress.logs,
            seconds=progress.seconds,
            head=self._head.number if self._head else None,
            confirmed=self._target.number if self._target else None,
            error=error,
        )
        _log(self._lease.run, report)
        return report

    def _pull_again(self, addresses: set[str]) -> int:
        """Pull the tokens, and begin anew if the chain is reorganised meanwhile; return how many are left."""
        for _ in range(MOVES - 1):
            try:
                return self._pull(addresses)
            except ChainMoved as error:
                logger.info("%s: %s; the pass begins anew", self._chain.chain, error)
                self._lease = replace(self._lease, run=uuid4())
        return self._pull(addresses)

    def _pull(self, addresses: set[str]) -> int:
        """Read and measure the tokens up to the newest confirmed block; return how many are left."""
        measured, due = self._begin(addresses)
        self._progress.tokens = claims.count_left(self._connection, due)
        end = None if self._options.seconds is None else monotonic() + self._options.seconds
        # Tokens near the head first, which are soon done.
        for is_near in (True, False):
            while not self._stop.soon.is_set():
                cursors = claims.claim(self._connection, self._lease, due, is_near=is_near)
                if not cursors:
                    break
                self._work(cursors, measured, None if is_near else end)
                if not is_near and _is_over(end):
                    break
        return claims.count_left(self._connection, due)

    def _begin(self, addresses: set[str]) -> tuple[Measured, claims.Due]:
        """Look at the chain, and mark the tokens as wanted."""
        nodes, connection = self._nodes, self._connection
        self._head = self._target = None
        head = nodes.read_head()
        now = open_state(connection, nodes, head)
        self._head = head
        number = head.number - self._chain.confirmations
        if number < 0:
            raise NodeError(
                f"the chain has {head.number + 1} blocks, so none has {self._chain.confirmations} "
                "confirmations yet (wait, or lower ONCHAIN_CONFIRMATIONS)"
            )
        target = self._target = self._read_block(number) if number < head.number else head
        see(connection, nodes.chain, head, target)
        times = BlockTimes(self._read_block, target)
        measured = find_windows(nodes.chain, target, times, self._chain.pools)
        claims.register(connection, nodes.chain, addresses, self._first_block(times, target))
        before = now - timedelta(seconds=self._options.gap)
        return measured, claims.Due(nodes.chain, since=now, before=before, near=measured.keep)

    def _read_block(self, number: int) -> Block:
        found = self._nodes.read_block(number)
        if found is None:
            raise ChainMoved(f"block {number} is no longer there")
        return found

    def _first_block(self, times: BlockTimes, target: Block) -> int:
        """Return the block with which the history of a token that is new begins."""
        first = self._options.first
        if isinstance(first, datetime):
            return times.first_after(first) if first < target.time else target.number + 1
        return first or 0

    def _work(self, cursors: list[Cursor], measured: Measured, end: float | None) -> None:
        """Read claimed tokens, measure those that are read to the end, and give all back."""
        connection, lease = self._connection, self._lease
        try:
            found = undo_reorgs(connection, self._nodes, lease, cursors)
            found = keep_from(connection, lease, found, measured.keep)
            done = [each.id for each in self._catch_up(found, end)]
            learn_accounts(connection, self._nodes, measured, done)
            if self._stop.now.is_set():
                return
            measure(connection, lease, measured, done)
            claims.finish(connection, lease, done)
            self._progress.pulled += len(done)
        except LeaseLost:
            logger.warning("%s: another pass has taken tokens over", measured.chain)
        finally:
            # If the database does not answer any more, the lease ends by itself.
            if not connection.needs_rollback:
                with suppress(DatabaseError, InterfaceError):
                    claims.release(connection, lease, [each.id for each in cursors])
        self._tell(0, 0, 0)

    def _catch_up(self, cursors: list[Cursor], end: float | None) -> list[Cursor]:
        """Read the tokens to the newest confirmed block; return those that are there.

        Those that stand at one block are read together, first the ones that are furthest behind.
        """
        target = self._target
        assert target is not None  # noqa: S101 - _begin() has set it
        while behind := [each for each in cursors if each.block < target.number]:
            low = min(behind, key=lambda each: (each.block, each.hash))
            group = [each for each in behind if (each.block, each.hash) == (low.block, low.hash)]
            others = [each for each in cursors if each not in group]
            try:
                read = self._read_group(group, others, end)
            except TokenRefused as error:
                claims.fail(self._connection, self._lease, error.cursor, str(error))
                logger.warning("%s:%s: %s", low.chain, _address(group, error.cursor), error)
                self._progress.failed += 1
                read = [each for each in self._group if each.id != error.cursor]
            cursors = others + read
            if self._stop.soon.is_set() or _is_over(end):
                break
        return [each for each in cursors if each.block == target.number]

    def _read_group(
        self, group: list[Cursor], others: Sequence[Cursor], end: float | None
    ) -> list[Cursor]:
        """Read tokens that stand at one block up to the next block at which something is to be done.

        That is where another token stands, the block before the first that is kept, or the target.
        """
        target = self._target
        assert target is not None  # noqa: S101 - as above
        before = group[0].block
        anchors = {target.number, *(each.kept_from - 1 for each in group)}
        stops = anchors | {each.block for each in others}
        stop = min(each for each in stops if each > before)
        self._group = group
        ranges = read_ranges(self._nodes, self._span, group, stop, target)
        with closing(ranges):
            for read in ranges:
                if self._stop.now.is_set():
                    break
                is_anchor = read.last.number in anchors
                self._group = store_range(
                    self._connection, self._lease, self._group, read, is_anchor=is_anchor
                )
                left = target.number - read.last.number
                self._tell(read.last.number - read.first + 1, left, read.logs)
                if self._stop.soon.is_set() or _is_over(end):
                    break
        return self._group

    def _tell(self, blocks: int, left: int, logs: int) -> None:
        """Count what was stored, and give a sign of life."""
        progress = self._progress
        progress.blocks += blocks
        progress.blocks_left = left
        progress.logs += logs
        if self._stop.now.is_set():
            return
        beat(self._connection, self._nodes, logs)
        if self._on_range:
            self._on_range(progress)


def _is_over(end: float | None) -> bool:
    return end is not None and monotonic() > end


def _address(cursors: Sequence[Cursor], number: int) -> str:
    return next(each.address for each in cursors if each.id == number)


def _log(run: UUID, report: ChainReport) -> None:
    """Log one line a chain, whose fields a structured log keeps."""
    fields = {"run": str(run), **{name: getattr(report, name) for name in ChainReport.__slots__}}
    fields["reason"] = fields.pop("error")
    logger.info("run %s: %s", run, report_line(report), extra=fields)


def report_line(report: ChainReport) -> str:
    """Return one line on a chain."""
    if report.error:
        return f"{report.chain}: {report.error}"
    rate = report.logs / report.seconds if report.seconds else 0
    parts = [
        f"{report.pulled} tokens pulled",
        *([f"{report.failed} failed"] if report.failed else []),
        *([f"{report.left} left"] if report.left else []),
        f"{report.blocks:,} blocks",
        f"{report.logs:,} logs in {report.seconds:.1f} s ({rate:,.0f}/s)",
        f"up to block {report.confirmed}",
    ]
    return f"{report.chain}: {', '.join(parts)}"
