"""The job verify_signal: verifies candidate signals by the on-chain features of their tokens.

From Python: `signals.verification.job.run_once()`. The modules, each importing only those before it:

* errors, tokens, verdict, strict_yaml, arrays, bisection: values and tools.
* rules, rules_file, settings: the rules, the file that holds them, and the settings.
* schema, features, run: the check of the tables before a run, the evidence, and what all steps share.
* candidates, intake: claiming the signals that are due, and taking in what is new.
* evaluation: the verdict on each candidate.
* changes, writing: what the verdicts change in the database, and how that is written.
* tally, job, watch: what workers share, the run as a whole, and runs again and again.
* health, printing: the state of the job and the dead signals, and what the command prints.

Rooms of their own, above these modules: review (explanations, lint and replay of rules), loading (files of
features), upkeep (figures, metrics, retention), queues (the job as tasks of a queue).
"""
