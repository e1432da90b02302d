"""What every service of Bilans shares: the field's words, the pure balance, the topology, the log and the tables."""
