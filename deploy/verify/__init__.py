"""`bilans verify`: recomputes every total from the archive and holds the published rows and the books to it."""
