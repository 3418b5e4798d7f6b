"""Make the manual: generate pages from the code, and read the code blocks of written pages."""
