"""The commands of docs/backup.md: a copy of a live store is whole, and another one serves it."""

import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from skyclass.admin.verify import verify_store
from skyclass.ingest.job import ingest
from skyclass.local.s3_server import Access
from skyclass.monitoring.documents import load_documents
from skyclass.monitoring.verdict import DriftVerdict
from skyclass.promotion.events import PromotionLog
from skyclass.registry.releases import Registry
from skyclass.settings import Settings
from skyclass.sources import open_source
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.survey.observation import KEY, MEASUREMENTS
from skyclass.tables.observations import ObservationsTable
from tests.support.cluster.chart import OBJECTS, Installation, make_arguments
from tests.support.cluster.kube import ROOT, Namespace
from tests.support.cluster.windows import SEND_REQUEST
from tests.support.stored import load_stored
