"""What a run can do, one file a stage. Knows nothing of the command line or of the web page."""
