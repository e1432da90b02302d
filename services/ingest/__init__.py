"""Ingest: the doors through which readings come in, one validation for all of them, and the way into the log."""
