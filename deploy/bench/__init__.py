"""`bilans bench`: what it measures, and that each answer is right before a speed is told."""
