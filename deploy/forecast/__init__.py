"""`bilans forecast`: how good forecasts would have been."""
