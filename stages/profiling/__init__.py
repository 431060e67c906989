"""Where a step of a stage that trains spends its time: real steps under torch's profiler, told by what the spec calls things."""
