"""ChromaDB: a folder that one process has at a time, or a server."""
