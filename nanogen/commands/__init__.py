"""One file a command: read what the user gave, call what does the work, print what came of it."""
