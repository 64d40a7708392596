#!/bin/sh
# One plan as a Slurm job array: slurm.sh INPUT OUTPUT RECIPE [PARTS]
#
# The array runs once for each round of the plan; a part that fails is queued again by Slurm (--requeue) and goes on where it
# was. When the last array has ended, one job completes the output.
set -eu
input=$1 output=$2 recipe=$3 parts=${4:-8}
plan=$output.plan.json

# The memory and the cores of one task of the array.
voxtile plan "$input" "$recipe" --output "$output" --save "$plan" --memory 16GiB --workers 8
rounds=$(sed -n 's/.*"rounds": \([0-9]*\).*/\1/p' "$plan")

after=
for round in $(seq "$rounds"); do
    job=$(sbatch --parsable --requeue --array="0-$((parts - 1))" --cpus-per-task=8 --mem=18G ${after:+--dependency="afterok:$after"} \
        --wrap="voxtile work '$plan' --parts $parts")
    after=${job%%;*}
done
sbatch --dependency="afterok:$after" --cpus-per-task=8 --mem=18G --wrap="voxtile finish '$plan'"
