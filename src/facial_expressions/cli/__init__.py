"""The command line: ``main`` holds what all verbs share, every other file is one verb."""
