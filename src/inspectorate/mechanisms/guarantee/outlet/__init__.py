"""All that leaves the processor: at fixed times, in fixed sizes, within a budget of bits."""
