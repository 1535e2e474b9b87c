#!/bin/sh
# Resolve requirements.txt: exact versions of all that the book and the tests need, one
# for every supported Python and system. What PyTorch itself pins exactly is left to it.
set -eu
cd "$(dirname "$0")/.."
{
  echo "# Exact versions of what the book and the tests need, made by \`make pins\`."
  echo "# Install with: pip install -r requirements.txt"
  uv pip compile --quiet --universal --fork-strategy fewest --python-version 3.11 \
    --no-header --no-annotate --no-emit-package ramlib \
    --extra book --extra test pyproject.toml | grep -vE '^(nvidia-|cuda-|triton)'
  echo "-e ."
} >requirements.new
mv requirements.new requirements.txt
