"""Catalogues as astronomers exchange them: FITS, VOTable and ECSV, written from Arrow."""
