"""Pairs of definitions: SQL for what is declared in other words, and SQL that differs in one attribute."""
