#!/usr/bin/env bash
# FerretDB embeds its version from a file that its Go module does not carry:
# vendor the module and write the file there.
set -euo pipefail
cd "$(dirname "$0")"
module=github.com/FerretDB/FerretDB
go mod vendor
go list -m -mod=mod -f '{{.Version}}' "$module" >"vendor/$module/build/version/version.txt"
