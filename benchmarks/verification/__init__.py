"""How fast verify_signal is, beside one SQL statement that makes the same writes and a loop row by row."""
