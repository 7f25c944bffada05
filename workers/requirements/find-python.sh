#!/bin/sh
# Print an interpreter that can make .venv: Python 3.11 to 3.14 with venv and ensurepip. Arguments, if any, are the only candidates.
tried=""
for candidate in ${*:-python3 python3.13 python3.12 python3.11 python3.14 python}; do
  path=$(command -v "$candidate" 2>/dev/null) || continue
  if why=$("$path" -c '
import sys
if not (3, 11) <= sys.version_info[:2] <= (3, 14):
    sys.exit("is Python %d.%d" % sys.version_info[:2])
try:
    import ensurepip, venv
except ImportError:
    sys.exit("has no venv module: apt-get install python3-venv, or your system'"'"'s package for it")
' 2>&1); then
    echo "$path"
    exit 0
  fi
  tried="$tried
  $path: $(echo "$why" | tail -n 1)"
done
echo "No suitable Python: this project needs 3.11 to 3.14 with its venv module.${tried:-
  none found on PATH}
Install one (Debian: apt-get install python3 python3-venv; macOS: brew install python@3.13) or name it: make install PYTHON=/path/to/python3.13" >&2
exit 1
