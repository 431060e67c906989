"""The room of the server and the chat page: handed an engine, it knows nothing of compilers and stages."""
