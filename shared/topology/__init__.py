"""The topology of a cluster: its zones, members, meters, assets and exchanges, numbered and immutable once loaded."""
