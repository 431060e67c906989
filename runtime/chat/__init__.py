"""Conversations: messages to ids and ids to text, and the calculator that a model may call. No torch, no engine."""
