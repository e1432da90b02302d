"""The balancer: from the log to partial rows, exactly once."""
