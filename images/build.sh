#!/bin/sh
# What all images have in common, one step a call:
#
#   build.sh dependencies PINS FAMILY   a venv in /venv with what FAMILY.txt in the folder PINS names, and nothing superfluous
#   build.sh project                    the project itself in /project, laid out like /venv, so that it is a layer of its own
#   build.sh base                       the base without pip, and with compiled standard modules
#
# Two builds of one commit have the same files. So every byte code file goes by the hash of its source instead of a time,
# and nothing records where it was installed from.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

compile() { python -m compileall -q --invalidation-mode unchecked-hash "$@"; }
pip_in() { venv=$1 && shift && python -m pip --quiet --disable-pip-version-check --python "$venv/bin/python" "$@"; }

dependencies() {
  pins=$1
  python -m venv --without-pip /venv
  python -m venv --without-pip /tools
  pip_in /tools install --require-hashes --only-binary :all: --requirement "$pins/build.txt"
  # pyvips comes as source only: it is built with the tools above, like everything else checked against its hash
  pip_in /tools wheel --require-hashes --only-binary :all: --no-binary pyvips --no-build-isolation --no-deps \
    --wheel-dir /wheels --requirement "$pins/$2.txt"
  sed 's/ \\$//; /--hash/d' "$pins/$2.txt" >/wheels/pins.txt
  pip_in /venv install --no-compile --no-index --find-links /wheels --no-deps --requirement /wheels/pins.txt
  rm -r /wheels
  trim /venv/lib/python3*/site-packages
  compile /venv/lib
}

# Remove what nobody ever reads: the descriptions of other AWS services, Kubernetes' thousands of types, tests, headers and stubs.
trim() {
  if [ -d "$1/botocore" ]; then
    # the three that workers call, and those where credentials come from
    find "$1/botocore/data" -mindepth 1 -maxdepth 1 -type d \
      ! -name s3 ! -name ses ! -name sesv2 ! -name sts ! -name sso ! -name sso-oidc ! -name signin -exec rm -r {} +
  fi
  if [ -d "$1/kubernetes" ]; then
    # the operator hands plain dictionaries to the client's transport; the three types are those that kopf imports
    find "$1/kubernetes/client" "$1/kubernetes/aio/client" -type f \( -path '*/models/*' -o -path '*/api/*' \) ! -name __init__.py \
      ! -name v1_object_meta.py ! -name v1_owner_reference.py ! -name v1_managed_fields_entry.py -delete
    find "$1/kubernetes" -type f -name '*_test.py' -delete
  fi
  find "$1" -depth -type d \( -name tests -o -name test -o -name include \) -exec rm -r {} +
  find "$1" -type f \( -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.c' -o -name '*.h' -o -name '*.a' \) -delete
}

project() {
  cd "$here/.."
  /tools/bin/python -m hatchling build --target wheel --directory /wheels
  pip_in /venv install --no-compile --no-index --find-links /wheels --no-deps --prefix /project kayan-workers
  rm -r /wheels
  compile -s /project -p /venv /project/lib
}

base() {
  found=$(python -c 'import pip; print(*pip.__path__)')
  rm -r "$found" "$found"-*.dist-info
  rm -rf /usr/local/bin/pip* /usr/bin/pip* /usr/share/python-wheels
  standard=$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')
  rm -r "$standard/ensurepip"
  # where the base brings them compiled, nothing happens
  compile -x '/(test|idlelib|lib2to3|tkinter|turtledemo|site-packages|dist-packages)/' "$standard"
}

"$@"
