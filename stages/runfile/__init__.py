"""A run's file as what will be done: stages with their settings, models, and where each number comes from."""
