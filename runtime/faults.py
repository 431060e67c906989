"""Make the one exception for what a user can put right, and know a want of memory. Knows nothing of how it is shown."""


class Fault(Exception):
    """A fault of a file, a setting or a request; a mistake of ours is an `assert` instead.

    `message` states the fact (lower case, no full stop, the user's names in backticks);
    `help` says what to do about it, or is empty.
    """

    def __init__(self, message: str, help: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.help = help


class Absent(Fault):
    """What is named is all right, and is not on this machine."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether this is how torch says that memory is too small; of a CPU's it says so in words alone."""
    named = type(error).__name__ == "OutOfMemoryError"  # torch's own, known without importing it
    return named or isinstance(error, MemoryError) or "DefaultCPUAllocator" in str(error)
