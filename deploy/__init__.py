"""How Bilans is started: its command line, the supervisor, the demo, and the embedded Kafka and PostgreSQL."""
