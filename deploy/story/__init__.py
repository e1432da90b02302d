"""Stories that `bilans demo --story` tells: what a DSO, assets and the service do together, on replayed readings."""
