"""Django's own test suite, run with the convergent operations in the place of Django's."""
