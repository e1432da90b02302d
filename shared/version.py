"""The version of Bilans; `pyproject.toml` says the same."""

VERSION = "0.1.0"
