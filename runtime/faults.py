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


class TooLarge(MemoryError):
    """What was to be computed at once does not fit the memory, of this rank or another; nothing has changed by it."""

    def __init__(self, what: str = "step") -> None:
        super().__init__(f"there is not enough memory for this {what}")
        self.what = what


WORDS = (  # of a want of memory that has no type of its own
    "DefaultCPUAllocator",
    "MPS backend out of memory",
    "CUDA error: out of memory",  # beside torch's allocator
    "CUBLAS_STATUS_ALLOC_FAILED",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether this is how torch says that memory is too small, itself or as the cause of what a compiler says."""
    named = type(error).__name__ == "OutOfMemoryError"  # torch's own, known without importing it
    found = named or isinstance(error, MemoryError) or any(words in str(error) for words in WORDS)
    return found or (error.__cause__ is not None and is_out_of_memory(error.__cause__))
