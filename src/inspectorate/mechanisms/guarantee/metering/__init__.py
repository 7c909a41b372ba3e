"""What the chips used up, and who says so."""
