"""Apache Kafka's own broker and PostgreSQL, fetched and started on this machine without Docker or root."""
