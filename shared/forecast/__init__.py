"""Forecasts of zones' net power, 48 hours ahead with their uncertainty (design section 4). Pure: no I/O, no clock."""
