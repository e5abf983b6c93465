"""What crosses a process boundary: values, one codec, JSON Schema."""
