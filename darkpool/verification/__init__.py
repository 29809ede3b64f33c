"""The auditor: recomputes an auction from its record, without any code of the engine."""
