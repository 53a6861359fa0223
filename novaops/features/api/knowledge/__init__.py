"""Knowledge bases of one's own: documents split into passages, kept in a SQLite file each, and searched."""
