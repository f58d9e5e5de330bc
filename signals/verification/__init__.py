"""The job that moves candidate signals by what is measured of their tokens on-chain."""
