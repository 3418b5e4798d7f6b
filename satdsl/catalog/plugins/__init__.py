"""Read Python files of the user's own: which entries they declare, from their text, without running any of it."""

from satdsl.catalog.plugins.folder_code import FolderCode, gathered
from satdsl.catalog.plugins.kinds import KINDS
from satdsl.catalog.plugins.reading import PluginFile, entry_of, read

__all__ = ["KINDS", "FolderCode", "PluginFile", "entry_of", "gathered", "read"]
