# Two files of lines "interval window_start count average p85 status", the provisional and the final rows of a camera, joined:
# interval window_start, both rows, change of the count.
NR == FNR { before[$1 " " $2] = $3 " " $4 " " $5 " " $6; next }
{
    old = ($1 " " $2) in before ? before[$1 " " $2] : "0 0 0 none"
    split(old, was, " ")
    print $1, $2, old, $3, $4, $5, $6, $3 - was[1]
}
