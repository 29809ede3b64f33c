"""The margin model: scenarios, portfolio margin, caps, revaluation."""
