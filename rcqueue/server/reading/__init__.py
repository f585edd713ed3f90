"""How a message is read: pure functions over its bytes, and two child processes for what goes deeper."""
