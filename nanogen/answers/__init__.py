"""What a graph answers: parameters, FLOPs, decoding state, saved activations. Each is one file and pure."""
