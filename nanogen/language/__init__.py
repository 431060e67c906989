"""What a spec may say: equations, tables, numbers and words, read into typed parts."""
