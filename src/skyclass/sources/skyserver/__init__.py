"""SkyServer, the public SQL interface of the survey, as a source of observations."""
