"""The prediction page: classifies one object or a table with running predictors."""
