"""`bilans baseline`: how good baselines of orders would have been."""
