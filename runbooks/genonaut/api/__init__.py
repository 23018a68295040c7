"""The API: takes jobs, queues them, and says how they are. Wire-compatible with the real one where pages call it."""
