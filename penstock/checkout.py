"""Where the repository lies, and what the operator's command keeps in it."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
POM: Final = ROOT / "deploy" / "local" / "pom.xml"
CACHE: Final = ROOT / ".penstock" / "cache"
STACKS: Final = ROOT / ".penstock" / "stack"
