"""What a run has written down so far, read by whoever looks at it while it works or afterwards."""
