"""What can be said of other languages in a plan before they run."""
