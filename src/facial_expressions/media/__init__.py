"""Images of results: faces drawn into a copy of the photograph."""
