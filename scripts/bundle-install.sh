#!/bin/sh
# Install Entrepot from this bundle, without network: ./install.sh [DIRECTORY], by default /opt/entrepot.
#
# Needs the Python named in TARGET and nothing else: pip comes with the bundle. Every file is checked against
# SHA256SUMS first, and every wheel against its hash again by pip. PYTHON=/path/to/python3.13 names an interpreter.
set -eu
cd "$(dirname "$0")"

directory=${1:-/opt/entrepot}
python=${PYTHON:-python3}

read -r version platform <TARGET
found=$("$python" -c 'import sysconfig as s; print(s.get_python_version(), s.get_platform())') ||
    { echo "$python is no Python; name one with PYTHON=" >&2; exit 1; }
if [ "$found" != "$version $platform" ]; then
    echo "this bundle is for Python $version on $platform; $python is $found" >&2
    echo "name another interpreter with PYTHON=, or make the bundle with that one" >&2
    exit 1
fi

sha256sum --check --quiet --strict SHA256SUMS

case $directory in /*) ;; *) directory=$OLDPWD/$directory ;; esac
"$python" -m venv --without-pip "$directory"
# A wheel is a zip archive that Python can import from: this pip installs, itself included.
set -- wheels/pip-*.whl
PYTHONPATH=$PWD/$1 "$directory/bin/python" -m pip --isolated --disable-pip-version-check --no-input --quiet \
    install --no-index --find-links wheels --require-hashes --only-binary :all: --no-deps -r requirements.txt

"$directory/bin/entrepot" version
echo "installed: $directory/bin/entrepot serve --data /var/lib/entrepot"
