"""What orders delivered: baselines frozen with them, windows verified and restated, settlement."""
