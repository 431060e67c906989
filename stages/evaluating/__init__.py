"""What evaluations have in common: models that answer and score, figures with intervals, and keeping what was found."""
