"""The language server: answer an editor's questions about a specification while it is being written."""
