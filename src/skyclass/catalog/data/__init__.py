"""Parameters of the simulated survey, fitted on real DR17 rows."""
