"""The tables of what pull_features reads from chains: cursors, transfers, balances, blocks and accounts.

Addresses and hashes are stored as bytes, because a token may have millions of holders.
"""

from django.db import models
from django.db.models import Index, Q

from signals.fields import NumericField, now


class ChainState(models.Model):
    """What the last pass saw of a chain, and counters that only grow.

    `chain_id` is the number by which its nodes must answer (EIP-155), NULL until one did. `confirmed` is the
    block up to which tokens are read, `confirmed_at` its time. `heartbeat_at` is renewed while a pass is at
    work, `passed_at` when one is complete. `error` is why the last pass ended early. `reorgs` counts the
    tokens that were rolled back.
    """

    chain = models.TextField(primary_key=True)
    chain_id = models.BigIntegerField(null=True, blank=True)
    head = models.BigIntegerField(null=True, blank=True)
    head_at = models.DateTimeField(null=True, blank=True)
    confirmed = models.BigIntegerField(null=True, blank=True)
    confirmed_at = models.DateTimeField(null=True, blank=True)
    heartbeat_at = models.DateTimeField(db_default=now())
    passed_at = models.DateTimeField(null=True, blank=True)
    logs = models.BigIntegerField(db_default=0)
    requests = models.BigIntegerField(db_default=0)
    retries = models.BigIntegerField(db_default=0)
    reorgs = models.BigIntegerField(db_default=0)
    error = models.TextField(blank=True, db_default="")

    class Meta:
        db_table = "chain_states"

    def __str__(self) -> str:
        return self.chain


class ChainCursor(models.Model):
    """How far a token's Transfer logs are read: from `first_block` up to and including `block`.

    `hash` is that of `block`, empty before the first range; a reorg is noticed by it. Transfers and hashes
    are kept from `kept_from` on, so that a reorg down to there can be undone. `run` is the pass that claimed
    the token last, which nobody else reads until `leased_until`. `wanted_at` is when a signal last asked for
    the token, `pulled_at` when it was last read up to the confirmed block. A token that failed `attempts`
    times in a row, the last time with `error`, is left alone until `retry_at`.
    """

    chain = models.TextField()
    address = models.TextField()
    first_block = models.BigIntegerField()
    block = models.BigIntegerField()
    hash = models.TextField(blank=True, db_default="")
    block_at = models.DateTimeField(null=True, blank=True)
    kept_from = models.BigIntegerField(db_default=0)
    transfers = models.BigIntegerField(db_default=0)
    reorgs = models.IntegerField(db_default=0)
    run = models.UUIDField(null=True, blank=True)
    leased_until = models.DateTimeField(null=True, blank=True)
    wanted_at = models.DateTimeField(db_default=now())
    pulled_at = models.DateTimeField(null=True, blank=True)
    attempts = models.IntegerField(db_default=0)
    retry_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True, db_default="")
    created_at = models.DateTimeField(db_default=now())

    class Meta:
        db_table = "chain_cursors"
        indexes = (Index(fields=("chain", "pulled_at"), name="ix_chain_cursors_pulled"),)
        constraints = (
            models.UniqueConstraint(fields=("chain", "address"), name="chain_cursors_token_key"),
            models.CheckConstraint(
                condition=Q(first_block__gte=0, block__gte=-1, kept_from__gte=0),
                name="chain_cursors_blocks_check",
            ),
        )

    def __str__(self) -> str:
        return f"{self.chain}:{self.address} at {self.block}"


class ChainTransfer(models.Model):
    """A Transfer log of a token, kept for the windows that are measured and for a reorg.

    `value` is the uint256 of the log, in the token's smallest unit.
    """

    pk = models.CompositePrimaryKey("token", "block", "log_index")
    token = models.ForeignKey(
        ChainCursor, models.CASCADE, db_constraint=False, db_index=False, related_name="+"
    )
    block = models.BigIntegerField()
    log_index = models.IntegerField()
    tx_index = models.IntegerField()
    sender = models.BinaryField(max_length=20)
    receiver = models.BinaryField(max_length=20)
    value = models.DecimalField(max_digits=78, decimal_places=0)

    class Meta:
        db_table = "chain_transfers"
        constraints = (
            models.CheckConstraint(condition=Q(value__gte=0), name="chain_transfers_value_check"),
        )

    def __str__(self) -> str:
        return f"log {self.log_index} of block {self.block}"


class ChainBalance(models.Model):
    """What an address received of a token minus what it sent, by the logs; no row for 0 and for address 0.

    Of a token that keeps the standard it is the balance. One that rebases, or whose fees have no log, can
    leave it below 0: it is then kept as it is, so that a reorg is undone exactly, and counts as 0 wherever
    shares are computed. It is wider than a uint256, for the logs of a hostile token have any sum.
    """

    pk = models.CompositePrimaryKey("token", "holder")
    token = models.ForeignKey(
        ChainCursor, models.CASCADE, db_constraint=False, db_index=False, related_name="+"
    )
    holder = models.BinaryField(max_length=20)
    net = NumericField()

    class Meta:
        db_table = "chain_balances"

    def __str__(self) -> str:
        return f"{bytes(self.holder).hex()} {self.net}"


class ChainBlock(models.Model):
    """The hash of a block as it was when a token's logs were read from it.

    There is one for each block with kept transfers, for the end of each pass, and for the block before
    `kept_from`. A reorg is rolled back to the highest of them that the chain still has.
    """

    pk = models.CompositePrimaryKey("token", "number")
    token = models.ForeignKey(
        ChainCursor, models.CASCADE, db_constraint=False, db_index=False, related_name="+"
    )
    number = models.BigIntegerField()
    hash = models.BinaryField(max_length=32)

    class Meta:
        db_table = "chain_blocks"

    def __str__(self) -> str:
        return f"block {self.number}"


class ChainAccount(models.Model):
    """Whether an address of a chain has code, as a node said at `checked_at`."""

    pk = models.CompositePrimaryKey("chain", "address")
    chain = models.TextField()
    address = models.BinaryField(max_length=20)
    is_contract = models.BooleanField()
    checked_at = models.DateTimeField(db_default=now())

    class Meta:
        db_table = "chain_accounts"

    def __str__(self) -> str:
        return f"{self.chain}:0x{bytes(self.address).hex()}"
