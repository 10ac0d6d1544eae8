"""Triggers: conditions over metrics, watched while a run goes on."""
