"""The alert policy of an org, and what an agent of it has for itself."""
