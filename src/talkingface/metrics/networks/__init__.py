"""Networks of others that metrics look through: their layers, and how their published files are loaded."""
