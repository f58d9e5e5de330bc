"""What the pages of single rows and of tokens show: summaries, timelines, measurements and related rows."""
