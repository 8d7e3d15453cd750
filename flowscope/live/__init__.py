"""Traffic as it happens: capture programs, the files they write, and a window that is judged again and again."""
