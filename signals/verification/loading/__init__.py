"""Loading files of on-chain features."""
