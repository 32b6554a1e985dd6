"""From raw videos to a training set: clips of one face each, a manifest, and a report of what was left out."""
