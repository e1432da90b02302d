"""Forecasts of the zones: made, kept, measured, given."""
