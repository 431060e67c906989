"""What this machine makes of a spec, by the clock: training, decoding, compiling, starting; kept, and held against the last time."""
