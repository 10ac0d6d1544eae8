"""MongoDB: any URI, and ``embedded:<name>``, a server of Fordway's own under the state folder."""
