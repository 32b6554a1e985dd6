"""The written protocol: which clips are compared with what, under which conventions, and how numbers become tables."""
