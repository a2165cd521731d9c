"""The contract shared by training, export and service: fields, vocabularies, encoder, catalogue, bundle on disk.

Standard library and numpy only; imports nothing else of ours. Training encodes its rows with the very encoder that
answers requests.
"""

from service.bundle.catalogue import Catalogue
from service.bundle.directory import new_directory
from service.bundle.embedding import STORED_AS, EmbeddingTable
from service.bundle.encoder import Encoder, Ids, Raw
from service.bundle.encoder_files import encoder_files, json_bytes, read_encoder_files
from service.bundle.errors import BadValue, BundleError, UnknownItem
from service.bundle.fields import Field, Role, Schema
from service.bundle.files import replace_file
from service.bundle.golden import Golden, GoldenRequest
from service.bundle.manifest import NAME, Calibration, Flops, Graph, Manifest, StoredTable
from service.bundle.npy import DATA_AT
from service.bundle.numeric import Buckets, Category
from service.bundle.store import Bundle, parse_manifest, read_bundle, write_bundle
from service.bundle.versions import checked_version, current_version, make_current, previous_version, versions
from service.bundle.vocabulary import FIRST_VALUE_ID, PADDING_ID, UNKNOWN_ID, Vocabulary
from service.bundle.weights import Weights

__all__ = [
    "DATA_AT",
    "FIRST_VALUE_ID",
    "NAME",
    "PADDING_ID",
    "STORED_AS",
    "UNKNOWN_ID",
    "BadValue",
    "Buckets",
    "Bundle",
    "BundleError",
    "Calibration",
    "Catalogue",
    "Category",
    "EmbeddingTable",
    "Encoder",
    "Field",
    "Flops",
    "Golden",
    "GoldenRequest",
    "Graph",
    "Ids",
    "Manifest",
    "Raw",
    "Role",
    "Schema",
    "StoredTable",
    "UnknownItem",
    "Vocabulary",
    "Weights",
    "checked_version",
    "current_version",
    "encoder_files",
    "json_bytes",
    "make_current",
    "new_directory",
    "parse_manifest",
    "previous_version",
    "read_bundle",
    "read_encoder_files",
    "replace_file",
    "versions",
    "write_bundle",
]
