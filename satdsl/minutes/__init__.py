"""Say how long the steps of a plan take, from what is stored and from what was measured; nothing here imports torch."""
