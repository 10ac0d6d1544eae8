"""The types that every floor speaks. Standard library only."""
