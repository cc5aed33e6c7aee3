#!/bin/sh
# The whole path, from recordings to a significance test: sh docs/demo.sh FOLDER
# On four synthetic corpora, or on the real ones below $EMOKIT_CORPORA if it is set.
set -eu
mkdir -p "${1:-demo}"
cd "${1:-demo}"

say() { printf '\n$ %s\n' "$*" >&2; "$@"; }

if [ -n "${EMOKIT_CORPORA:-}" ]; then
  say emokit build-corpus
else
  say emokit build-corpus --synthetic emodb ravdess nemo crema_d
fi
# folds, so that every speaker is tested and the tests can decide; few epochs, the same for both,
# so that the demo ends within minutes; so few want less augmentation and no averaging
say emokit train --regime single --folds all --epochs 5 --augment specaugment --set average_share=0 --quiet
say emokit train --adapters residual --folds all --epochs 5 --augment specaugment --set average_share=0 --quiet
say emokit evaluate --mcnemar --quiet
printf '\nThe report: %s\n' "$(pwd)/$(ls -td reports/*-vs-*/report.html | head -n 1)"
