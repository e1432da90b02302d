"""How Numba compiles the kernels of ingest."""

from typing import Any

KERNEL_OPTIONS: dict[str, Any] = {"nogil": True, "cache": True, "_nrt": False, "forceinline": True}
"""Kernels run beside the event loop and are compiled once. They allocate nothing, so Numba's runtime is left out: with
it every call between kernels counts references to the arrays it is given, atomically, and that took two thirds of the
time of parsing a line. Kernels that others call are small: built into them they take a fifth less."""
