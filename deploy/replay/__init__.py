"""`bilans replay`: a readings file, sent to a running system and watched until it is published."""
