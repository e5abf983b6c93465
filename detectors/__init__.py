"""The pure core: it is told the time and returns values."""
