"""Compare a database with the declarations of its applied migrations, and repair it."""
