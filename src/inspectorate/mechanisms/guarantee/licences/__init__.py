"""Budgets for one device: issued offline, carried by any channel, spent and never restored."""
