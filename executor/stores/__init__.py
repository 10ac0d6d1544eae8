"""The stores: capabilities, readers and writers of MongoDB and ChromaDB. Drivers live only here."""
