"""What an observation is, where observations come from, and which rows are fit to be kept."""
