#!/bin/sh
# Installs what a package.json names into the cache, outside of the checkout,
# and prints the folder. Versions are exact; a folder belongs to one content.
set -eu

cache=${XDG_CACHE_HOME:-$HOME/.cache}/amid
sum=$(sha256sum "$1" | cut -c1-12)
folder=$cache/todo-npm-$sum
mkdir -p "$folder"
exec 9>"$folder.lock"
flock 9
if [ ! -e "$folder/complete" ]; then
    echo "Installing the packages of $1" >&2
    cp "$1" "$folder/package.json"
    (cd "$folder" && npm install --no-package-lock --no-audit --no-fund --ignore-scripts --silent >&2)
    touch "$folder/complete"
fi
echo "$folder"
