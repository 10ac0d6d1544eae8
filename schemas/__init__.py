"""JSON Schemas (draft 2020-12) of every document, as package data."""
