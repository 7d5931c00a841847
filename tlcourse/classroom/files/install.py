"""Install the course from this folder, without internet: python3 install.py FOLDER"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main(arguments):
    if len(arguments) != 1 or arguments[0].startswith("-"):
        return "Name the folder to make, as in: python3 install.py transfer-learning"
    facts = json.loads((HERE / "bundle.json").read_text())
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if here != facts["python"]:
        return f"This bundle is for Python {facts['python']}, and this is {here}."
    system = sysconfig.get_platform()
    if system != facts["platform"]:
        print(f"Careful: this bundle was made on {facts['platform']}, and this is {system}.")
    folder = Path(arguments[0]).resolve()
    if folder.exists() and not (folder / ".venv").is_dir() and any(folder.iterdir()):
        return f"{folder} has other things in it; name a new folder."
    folder.mkdir(parents=True, exist_ok=True)

    print("An environment of its own, then the packages. This takes some minutes.")
    try:
        venv.create(folder / ".venv", with_pip=True)
    except (subprocess.CalledProcessError, OSError, SystemExit):
        return "Python cannot make environments; on Debian and Ubuntu, install python3-venv."
    programs = folder / ".venv" / ("Scripts" if os.name == "nt" else "bin")
    python = programs / ("python.exe" if os.name == "nt" else "python")
    # Settings of this computer must not send pip anywhere else.
    quiet = {k: v for k, v in os.environ.items() if not k.startswith("PIP_")}
    done = subprocess.run(
        [str(python), "-m", "pip", "install", "--no-index", "--find-links", str(HERE / "wheels"),
         "--constraint", str(HERE / "constraints.txt"), "--disable-pip-version-check", "--quiet",
         facts["package"]],
        env=dict(quiet, PIP_CONFIG_FILE=os.devnull),
    )  # fmt: skip
    if done.returncode:
        return "pip could not install everything; above, it says why."
    # Work that is there already is not overwritten.
    for part in ("course", "slides", "data"):
        for source in sorted((HERE / part).rglob("*")):
            inside = source.relative_to(HERE / part)
            target = folder / inside if part == "course" else folder / part / inside
            if source.is_file() and not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(str(source), str(target))
    print("\nDone. To look whether all is well, then to begin:\n")
    print(f"  cd {folder}")
    if any((HERE / "data").iterdir()):
        print(f"  {'set' if os.name == 'nt' else 'export'} TLCOURSE_DATA={folder / 'data'}")
    for verb in ("doctor", "lab"):
        print(f"  {programs / 'tlcourse'} {verb}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
