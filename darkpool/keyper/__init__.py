"""One keyper: what it holds, certifies, opens and signs, and its durable memory."""
