"""PostgreSQL: the tables, their migrations and the ways in."""
