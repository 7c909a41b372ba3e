"""Signed rules: what is enforced, who may change it, and policy in CEL."""
