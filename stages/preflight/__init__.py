"""Before anything of a run starts: what it takes of this machine and reads, held to what is here."""
