"""How long BackfillInBatches takes beside plain ranges of the key and one UPDATE."""
