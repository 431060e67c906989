"""What this machine offers nanogen and what it lacks, found by looking and by small trials, and what to do about each."""
