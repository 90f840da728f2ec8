# SPDX-License-Identifier: Apache-2.0
"""Every public name has its sentence: doxygen reads docs/Doxyfile without a warning. Without a word it passes over concepts,
and over namespaces with all that they hold, so those are looked for in what it writes where it is told to take everything."""
import pathlib
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

import house

root = house.arguments().root
if shutil.which("doxygen") is None:
    print("skipped: doxygen is not installed")
    sys.exit(77)
settings = (root / "docs" / "Doxyfile").read_text(encoding="utf-8")


def doxygen(**changes):
    """Runs it in the root, with these settings changed; its complaints, each once."""
    config = settings + "".join(f"\n{tag} = {value}" for tag, value in changes.items())
    done = subprocess.run(["doxygen", "-"], input=config, capture_output=True, text=True, cwd=root)
    said = [line.removeprefix(f"{root}/") for line in done.stderr.splitlines() if line.strip()]
    if done.returncode != 0 and not said:
        said = [f"doxygen ends with {done.returncode}"]
    return list(dict.fromkeys(said))


def silent(entity):
    """Whether a namespace or concept of ours has no sentence."""
    return (entity.get("kind") in ("namespace", "concept") and
            entity.find("location").get("file", "").startswith("graft/") and
            not "".join(entity.find("briefdescription").itertext()).strip())


with tempfile.TemporaryDirectory() as folder:
    findings = doxygen(OUTPUT_DIRECTORY=folder)
    findings += doxygen(OUTPUT_DIRECTORY=folder, EXTRACT_ALL="YES", WARNINGS="NO", GENERATE_HTML="NO", GENERATE_XML="YES",
                        XML_PROGRAMLISTING="NO")
    for path in sorted(pathlib.Path(folder, "xml").glob("*.xml")):
        for entity in filter(silent, xml.etree.ElementTree.parse(path).iter("compounddef")):
            findings.append(f"include/{entity.find('location').get('file')}: {entity.get('kind')} "
                            f"{entity.findtext('compoundname')} has no sentence")
house.report(findings, "every public name has its sentence")
