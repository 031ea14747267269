"""Does the graph find the teacher? Worlds whose best teacher is known, rules of edge learning, tables and figures."""
