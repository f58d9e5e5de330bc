"""The job verify_signal: verifies candidate signals by the on-chain features of their tokens.

From Python: `signals.verification.job.run_once()`. The modules, each importing only those before it:

* errors, tokens, verdict, strict_yaml, bisection: values and tools.
* rules, rules_file, settings: the rules, the file that holds them, and the settings.
* schema, run: the check of the tables before a run, and what all steps of a run share.
* candidates, features: the two reads, of the signals that are due and of the evidence on their tokens.
* evaluation: the verdict on each candidate.
* changes, rows, writing: what the verdicts change in the database, and how that is written.
* job: the run as a whole.
"""
