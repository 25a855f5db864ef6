#!/usr/bin/env bash
# stage.sh KIND FOLDER: gathers all that an image of this kind is made from into
# one folder, which is brought into the image as it is. The tests stage the same.
#
#   GOSS          the program goss; built from tools/goss when not given
#   TODO          app: the program todo
#   AMID_DEB      controller: amid's package, from make dist
#   TERRAGRUNT, TERRAFORM    controller: the programs
#   PACKAGES_DIR  further .deb files of their vendors: the SSM agent for base,
#                 MongoDB's for mongodb
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib.sh
source "$here/../scripts/lib.sh"
# shellcheck source=scripts/go-tool.sh
source "$here/../scripts/go-tool.sh"

kind=${1:-} folder=${2:-}
[[ -n $kind && -n $folder && -f $here/provision/$kind.sh ]] || die "usage: stage.sh base|app|mongodb|controller FOLDER"
[[ ! -e $folder ]] || die "The stage is made anew each time, and this exists: $folder"

# program NAME PATH HINT
program() {
  [[ -n $2 ]] || die "The $kind image needs $1: $3"
  [[ -f $2 && -x $2 ]] || die "This is not a program: $2"
  install -m 0755 "$2" "$folder/bin/$1"
}

mkdir -p "$folder"/{bin,packages}
cp -R "$here/provision" "$here/goss" "$folder/"
mkdir "$folder/files"
[[ ! -d $here/files/$kind ]] || cp -R "$here/files/$kind" "$folder/files/"
if [[ -n ${PACKAGES_DIR:-} ]]; then
  cp "$PACKAGES_DIR"/*.deb "$folder/packages/"
fi

case $kind in
  base) program goss "${GOSS:-$(go_tool goss github.com/goss-org/goss/cmd/goss "-X github.com/goss-org/goss/util.Version=v$(go_pin goss github.com/goss-org/goss)")}" "" ;;
  app) program todo "${TODO:-}" "set TODO to the program, for example the one that make dist built" ;;
  mongodb) compgen -G "$folder/packages/*.deb" >/dev/null || die "The mongodb image needs MongoDB's packages: put them into a folder and set PACKAGES_DIR to it" ;;
  controller)
    [[ -f ${AMID_DEB:-} ]] || die "The controller image needs amid's package: set AMID_DEB to the file that make dist made"
    cp "$AMID_DEB" "$folder/packages/"
    program terragrunt "${TERRAGRUNT:-}" "set TERRAGRUNT to the program"
    program terraform "${TERRAFORM:-}" "set TERRAFORM to the program"
    ;;
esac
