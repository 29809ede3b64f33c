"""Every domain-separation label, in one place, so that no two uses can ever share one."""
