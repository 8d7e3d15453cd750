"""This machine: its interfaces, the rights of this process, and which programs listen where."""
