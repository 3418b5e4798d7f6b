"""Draw the plots of a plan and the curves of its trainings: for a page as SVG, for a paper as files.

matplotlib is imported when the first figure is drawn, not before; its settings are as they were afterwards, and
neither pyplot nor a window is used.
"""
