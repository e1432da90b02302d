"""The services. They never import each other: they meet in topics and tables."""
