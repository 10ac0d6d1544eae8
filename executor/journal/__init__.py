"""The journal: what was meant and what came of it, durable before anything else happens."""
