"""The archive: every reading of the log in Parquet, written by the balancer, read by whoever needs what is old."""
