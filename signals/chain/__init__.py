"""Reading ERC-20 transfers from Ethereum-like nodes, and measuring on-chain features by them.

A pass (passing.py) goes over the chains that have nodes, and over the tokens that signals ask for:

* nodes.py asks the nodes of a chain, with retries and failover; node.py is one of them, answers.py checks
  what it says, for a node is a stranger.
* reading.py reads Transfer logs in ranges of blocks, storing.py writes each range in one transaction with
  the token's cursor. So a killed pass leaves a state that the next one goes on from.
* reorgs.py notices by its hash that a block is no longer in the chain, and undoes what rests on it.
* measuring.py computes the features of a window in SQL.

Nothing else imports this package but the command pull_features, the admin and the tests.
"""
