#!/bin/sh
# Sends one V1 and one V2 request with curl, which offers to upgrade to HTTP/2.
set -eu

post() {
  curl --silent --show-error --http2 -H 'Content-Type: application/json' -d "$2" "$1"
  echo
}

post "$1/v1/models/skyclass-spectroscopic:predict" \
  '{"instances": [[21.2, 18.9, 17.7, 17.1, 16.8, 0.17]]}'
post "$1/v2/models/skyclass-spectroscopic/infer" \
  '{"inputs": [{"name": "x", "shape": [1, 6], "datatype": "FP64",
    "data": [21.2, 18.9, 17.7, 17.1, 16.8, 0.17]}]}'
