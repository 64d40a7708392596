#!/bin/sh
# One plan as an array job of AWS Batch: aws-batch.sh INPUT OUTPUT RECIPE [PARTS]
#
# The job definition `voxtile` runs an image with voxtile in it and mounts the file system (EFS, FSx) that holds input, output
# and plan under the same path as here. Its retry strategy runs a part again that died, also on a spot machine that was taken
# away; `--break-lock` takes over what the machine that is gone held.
set -eu
input=$1 output=$2 recipe=$3 parts=${4:-8}
plan=$output.plan.json

voxtile plan "$input" "$recipe" --output "$output" --save "$plan" --memory 14GiB --workers 4
rounds=$(sed -n 's/.*"rounds": \([0-9]*\).*/\1/p' "$plan")

submit() { # NAME COMMAND MORE…
    name=$1 command=$2
    shift 2
    aws batch submit-job --job-name "$name" --job-queue "${QUEUE:-voxtile}" --job-definition voxtile \
        --container-overrides "command=$command" "$@" --query jobId --output text
}

after=
for round in $(seq "$rounds"); do
    after=$(submit "voxtile-work-$round" "voxtile,work,$plan,--parts,$parts,--break-lock" \
        --array-properties "size=$parts" --retry-strategy attempts=5 ${after:+--depends-on "jobId=$after"})
done
submit voxtile-finish "voxtile,finish,$plan,--break-lock" --depends-on "jobId=$after"
