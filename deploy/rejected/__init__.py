"""`bilans rejected`: what was rejected and why, and the way to send it again."""
