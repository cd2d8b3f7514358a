"""The HTTP server: an API and a page over one recognizer; needs the extra ``serve``."""
