"""Show a plan: as a document, as text, as a graph, and as the difference of two plans."""
