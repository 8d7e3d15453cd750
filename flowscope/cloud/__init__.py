"""Files that clouds and hosts print: security rules, flow logs, listeners, definitions of balancers.

Nothing is fetched: everything comes from files that a user already has. A reader decides by what a file holds, never by
its name, and what it does not know is an error that says which command prints the right file. Texts in these files are
as untrusted as packets.
"""
