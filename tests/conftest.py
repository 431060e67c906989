"""Tests run on one thread, so that many may run side by side and none waits for another's cores."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
