"""Bytes of captured frames: files, directories, rings, standard input."""
