"""The pure core: readings in, energy out. Nothing here does I/O, reads a clock, draws a random number or logs."""
