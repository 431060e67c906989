"""Questions with known answers, each kind in a file of its own: what is asked, and when an answer is right."""
