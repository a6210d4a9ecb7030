"""HTML reports: the training report of a release, and the exploration report of a source."""
