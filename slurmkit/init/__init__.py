"""A first job file or profile: what can be found out here, filled into a gallery of starts."""
