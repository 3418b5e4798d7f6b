import E111
