"""Flexibility (design section 4): what assets can hold, and what delivered energy is worth. Pure: no I/O, no clock."""
