"""The float network: operators, graph, the rules it keeps, and ways to evaluate it."""
