"""How Numba compiles the kernels of ingest."""

from typing import Any

from shared import kernel_options

KERNEL_OPTIONS: dict[str, Any] = {**kernel_options.KERNEL_OPTIONS, "forceinline": True}
"""Kernels that others call are small: built into them they take a fifth less."""
