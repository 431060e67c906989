"""Logs sent on to trackers, by a process beside the run: nothing that happens there can stop the run or slow it."""
