"""What a run will take before it is run: FLOPs, memory, disk, hours and money on hardware that may not be here."""
