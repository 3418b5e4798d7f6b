"""The language server: what an editor asks about a specification that is being written."""
