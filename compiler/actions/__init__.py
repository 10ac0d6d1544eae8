"""What each kind of action means before it runs: its parameters, its footprint, its inverse."""
