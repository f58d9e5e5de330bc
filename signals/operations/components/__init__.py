"""The components of a table: when two definitions are the same, and the SQL that builds one."""
