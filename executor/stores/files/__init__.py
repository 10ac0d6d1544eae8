"""Files of records: concatenated BSON, extended JSON by lines, and Fordway's own backups."""
