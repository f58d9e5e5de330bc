"""How many logs a second pull_features takes from a node to features, beside loops that store nothing."""
