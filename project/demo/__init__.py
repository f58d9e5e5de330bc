"""The product at work on generated data: a legacy database, adopted, then its signals verified."""
