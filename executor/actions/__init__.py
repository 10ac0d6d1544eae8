"""What an action does: one runner a kind, found through :mod:`executor.actions.registry`."""
