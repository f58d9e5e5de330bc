"""Looking at verdicts and rules: explanations, the lint of a rules file, the replay of past verdicts."""
