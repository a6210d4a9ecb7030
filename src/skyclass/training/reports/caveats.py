"""What a model may be used for and what limits it: texts of the model card and of the report."""

from collections.abc import Mapping
from dataclasses import dataclass

from skyclass.survey.features import Mode

_BASIS = (
    "The numbers of the uses and limits were measured once, with random forests on up to 46,369 "
    "spectra of SDSS DR17. They describe the task, not this release."
)

_CITATION = (
    "Abdurro'uf et al. 2022, The Seventeenth Data Release of the Sloan Digital Sky Surveys, "
    "ApJS 259, 35, doi:10.3847/1538-4365/ac4414, arXiv:2112.02026"
)
_ACKNOWLEDGEMENT = (
    "SDSS data releases are in the public domain. Publications that use them carry the "
    "acknowledgement that SDSS-IV asks for (www.sdss4.org/collaboration/citing-sdss)."
)


@dataclass(frozen=True)
class Caveats:
    """Uses and limits of a model.

    Attributes:
        uses: What it is meant for.
        misuses: What it is not meant for.
        limits: What its metrics do not show.
        basis: Where the numbers in these texts are from.
        citation: The paper of the data.
        acknowledgement: Terms of the data.
    """

    uses: tuple[str, ...]
    misuses: tuple[str, ...]
    limits: tuple[str, ...]
    basis: str = _BASIS
    citation: str = _CITATION
    acknowledgement: str = _ACKNOWLEDGEMENT


_MISUSES = (
    "Objects of other surveys. Their filters and apertures differ, even if the columns have the "
    "same names.",
    "Class counts of the sky, or samples that are complete to a magnitude. SDSS selects the "
    "objects of which it takes spectra, and probabilities follow the class shares of the "
    "training set.",
    "Statements about a single object without a look at its image or spectrum.",
)

_LIMITS = (
    "The labels are the classes of the SDSS spectroscopic pipeline, not of a visual inspection.",
    "Each survey programme selects its targets differently. A model of the Legacy era has an "
    "accuracy of 0.984 on Legacy and 0.909 on eBOSS with redshift, 0.927 and 0.546 without. The "
    "temporal hold-out is therefore closer to the next observations than the random one.",
    "Magnitudes are model magnitudes and are not corrected for extinction. Fainter than "
    "u 24.6, g 25.1, r 24.8, i 24.4 or z 22.8, the magnitudes of zero flux, colours are noise; "
    "one object in seven is fainter in u.",
)

CAVEATS: Mapping[Mode, Caveats] = {
    Mode.SPECTROSCOPIC: Caveats(
        uses=(
            "Classify objects that SDSS has taken a spectrum of, from u, g, r, i, z and the "
            "redshift of the spectrum.",
            "Check pipeline classes: objects whose label and predicted class differ deserve a "
            "look.",
        ),
        misuses=(
            "Photometric or uncertain redshifts. With a redshift error of 0.003 (1 + z) the "
            "accuracy falls from 0.978 to 0.958, with 0.03 (1 + z) to 0.870.",
            *_MISUSES,
        ),
        limits=(
            "The redshift nearly is the label: the same template fit yields both. The rule STAR "
            "if |z| < 0.0045, QSO if z > 0.95, else GALAXY has an accuracy of 0.946. Compare "
            "metrics with that, and never with those of photometric mode.",
            "Nearly all errors are between GALAXY and QSO.",
            "Accuracy depends on brightness: 0.989 at r < 17, 0.986 at r 20 to 21, 0.949 at "
            "r > 22.",
            *_LIMITS,
            "Magnitude errors, morphology, infrared colours and the position are not inputs.",
        ),
    ),
    Mode.PHOTOMETRIC: Caveats(
        uses=(
            "Classify SDSS objects without a spectrum, from u, g, r, i, z and optional inputs of "
            "the release.",
            "Select candidates, such as quasars, by probability, if the calibration is sufficient.",
        ),
        misuses=(
            "Objects with a spectrum: spectroscopic mode classifies them with a fraction of the "
            "errors.",
            *_MISUSES,
        ),
        limits=(
            "Accuracy depends on brightness: 0.967 at r < 17, 0.875 at r 20 to 21, 0.776 at "
            "r 21 to 22.",
            "Quasars and stars of similar colours are confused. The recall of stars was 0.744, of "
            "quasars 0.811, of galaxies 0.949.",
            *_LIMITS,
            "Inputs that a row lacks count as unknown: that an object is too faint for a band is "
            "not used.",
        ),
    ),
}
"""Uses and limits of each mode."""
