"""How many ports of a SNAT address are in use towards each destination, and which connections got none."""
