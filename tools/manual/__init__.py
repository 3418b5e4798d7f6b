"""What the manual is made with: pages generated from the code, and the code blocks of written ones."""
