"""From a source document to what the targets get: compiled once, applied to bytes, in worker processes."""
